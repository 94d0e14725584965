package broker

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createCompacted makes the topic "state" with small segments.
func createCompacted(t *testing.T, client *kgo.Client) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "state", 1, 1
	for name, value := range map[string]string{"cleanup.policy": "compact", "retention.ms": "-1", "segment.bytes": "1024"} {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, kmsg.StringPtr(value)
		topic.Configs = append(topic.Configs, c)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(context.Background(), client)
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatal(err, resp)
	}
}

// names lists files in the order in which the broker deletes and writes them.
func names(files map[string][]byte) []string {
	base := func(name string) int {
		n, _ := strconv.Atoi(name[:strings.IndexByte(name, '.')])
		return n
	}
	return slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		if d := base(a) - base(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// sameLogs compares the logs and not their indexes, which hold nothing that a
// compacted topic needs.
func sameLogs(a, b map[string][]byte) bool {
	logs := func(files map[string][]byte) map[string][]byte {
		files = maps.Clone(files)
		maps.DeleteFunc(files, func(name string, _ []byte) bool { return !strings.HasSuffix(name, ".dat") })
		return files
	}
	return maps.EqualFunc(logs(a), logs(b), bytes.Equal)
}
