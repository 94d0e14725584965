package broker

import (
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// minRoom is the least that must be left on the file system for anything to be
// written: more than a request brings. kfake leaves half an entry in its logs of
// groups and producers when a write fails, and what stands behind it is lost at the
// next start.
const minRoom = 8 << 20

// guardRoom has the cluster refuse what it would have to write where there is no
// room; clients try again. It costs a call of statfs a request, a microsecond.
func (b *Broker) guardRoom(c *kfake.Cluster) {
	for key, refuse := range map[kmsg.Key]func(kmsg.Request) kmsg.Response{
		kmsg.Produce: refuseProduce, kmsg.OffsetCommit: refuseCommit, kmsg.InitProducerID: refuseInit, kmsg.JoinGroup: refuseJoin,
	} {
		c.ControlKey(key.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
			if b.room() {
				return nil, nil, false
			}
			c.KeepControl()
			return refuse(r), nil, true
		})
	}
}

// room tells whether there is enough to write.
func (b *Broker) room() bool {
	var s syscall.Statfs_t
	if err := syscall.Statfs(b.logDir(), &s); err != nil {
		return true
	}
	left, all := int64(s.Bavail)*s.Bsize, int64(s.Blocks)*s.Bsize
	return left >= min(minRoom, all/8)
}

func refuseProduce(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.ProduceRequest)
	res := req.ResponseKind().(*kmsg.ProduceResponse)
	if req.Acks == 0 {
		return nil
	}
	for _, t := range req.Topics {
		out := kmsg.NewProduceResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode, part.BaseOffset = p.Partition, kerr.KafkaStorageError.Code, -1
			out.Partitions = append(out.Partitions, part)
		}
		res.Topics = append(res.Topics, out)
	}
	return res
}

func refuseCommit(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.OffsetCommitRequest)
	res := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range req.Topics {
		out := kmsg.NewOffsetCommitResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, kerr.CoordinatorNotAvailable.Code
			out.Partitions = append(out.Partitions, part)
		}
		res.Topics = append(res.Topics, out)
	}
	return res
}

func refuseInit(r kmsg.Request) kmsg.Response {
	res := r.(*kmsg.InitProducerIDRequest).ResponseKind().(*kmsg.InitProducerIDResponse)
	res.ErrorCode = kerr.CoordinatorNotAvailable.Code
	return res
}

func refuseJoin(r kmsg.Request) kmsg.Response {
	res := r.(*kmsg.JoinGroupRequest).ResponseKind().(*kmsg.JoinGroupResponse)
	res.ErrorCode = kerr.CoordinatorNotAvailable.Code
	return res
}
