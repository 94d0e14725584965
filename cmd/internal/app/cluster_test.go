package app

import (
	"testing"

	"holdfast/schemas"
)

// The topics of an earlier version lack what this one adds: they are made at the start,
// with as many partitions as the others have, and never where there is no installation.
func TestTopicsOfAnEarlierVersionAreCompleted(t *testing.T) {
	s := newWebhookServer(t, 200)
	a, stop := launch(t, enforcing(t, t.TempDir(), s), Options{Roles: []Role{RoleDetect}})
	defer stop()
	cfg := a.Config()
	cfg.Kafka.Prefix = "earlier."
	if err := addTopics(t.Context(), a.client, &cfg); err != nil {
		t.Fatal(err)
	}
	if is, err := a.client.DescribeTopics(t.Context(), []string{"earlier.outbox"}); err != nil || len(is) != 0 {
		t.Errorf("topics were made where no installation is: %v, %v", is, err)
	}
	old := topicSpecs(&cfg)[:0:0]
	for i, spec := range topicSpecs(&cfg) {
		if topic := schemas.Topics()[i].Topic; topic != schemas.TopicEnforced && topic != schemas.TopicOutbox {
			old = append(old, spec)
		}
	}
	if err := a.client.CreateTopics(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := addTopics(t.Context(), a.client, &cfg); err != nil {
			t.Fatal(err)
		}
	}
	differences, err := CheckTopics(t.Context(), a.client, &cfg)
	if err != nil || len(differences) != 0 {
		t.Errorf("differences %v, %v", differences, err)
	}
}
