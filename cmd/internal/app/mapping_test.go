package app

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/platform"
	"holdfast/schemas"
)

// A platform's topic is bound as a token is, and mistakes are found.
func TestMappingLimits(t *testing.T) {
	read := func(text string) (platform.Topic, error) {
		var p config.Platform
		p.Topics = []string{"mail"}
		if err := yaml.Unmarshal([]byte(text), &p.Mapping); err != nil {
			t.Fatal(err)
		}
		p.Mapping = *p.Mapping.Content[0]
		var c platform.Config
		err := decodeMapping(p, &c)
		if err != nil {
			return platform.Topic{}, err
		}
		return c.Topics[0], nil
	}
	got, err := read("{type: send, trust: evidence, accounts: [a, b], account_prefix: eu-, rate: 50, burst: 200}")
	if err != nil || got.Trust != schemas.TrustEvidence || len(got.Accounts) != 2 || got.AccountPrefix != "eu-" || got.Rate != 50 || got.Burst != 200 {
		t.Errorf("read as %+v: %v", got, err)
	}
	for text, says := range map[string]string{"{trust: some}": "use full or evidence", "{acounts: [a]}": "acounts", "{burst: 3}": "burst"} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
