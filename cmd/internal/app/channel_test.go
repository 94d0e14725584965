package app

import (
	"strings"
	"testing"
	"time"

	"holdfast/alerting/notify/post/posttest"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

// Every configured channel tells operators of a suspension, each by its own protocol.
func TestOperatorsAreToldOnEveryChannel(t *testing.T) {
	slack, pager, alerts := posttest.New(t, 200), posttest.New(t, 202), posttest.New(t, 200)
	cfg := testConfig(t, t.TempDir())
	cfg.ClickHouse.Addr = []string{"127.0.0.1:1"}
	cfg.Enforce.Slack = []config.Slack{{Name: "abuse-desk", URLFile: posttest.Secret(t, slack.URL)}}
	cfg.Enforce.PagerDuty = []config.PagerDuty{{Name: "oncall", URL: pager.URL, KeyFile: posttest.Secret(t, strings.Repeat("a", 32)), All: true}}
	cfg.Enforce.Alertmanager = []config.Alertmanager{{Name: "alerts", URL: alerts.URL}}
	a, _ := launch(t, cfg, Options{Roles: []Role{RoleRespond}})
	act(t, a, schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}, "suspend")
	for name, r := range map[string]*posttest.Receiver{"slack": slack, "pagerduty": pager, "alertmanager": alerts} {
		within(t, time.Minute, name+" hears nothing", func() bool { return r.Count() > 0 })
		var any any
		if body, _ := r.Last(t, &any); !strings.Contains(string(body), "acct-1") {
			t.Errorf("%s is told %s", name, body)
		}
	}
}

func TestChannelsAreCheckedWithTheConfiguration(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Enforce.Slack = []config.Slack{{Name: "a", URLFile: posttest.Secret(t, "https://hooks.example.com/x")}, {Name: "a", URLFile: posttest.Secret(t, "http://hooks.example.com/x")}}
	cfg.Enforce.PagerDuty = []config.PagerDuty{{Name: "p", KeyFile: posttest.Secret(t, "short")}}
	said := map[string]string{}
	checkReceivers(&cfg, func(key string, err error) {
		if err != nil {
			said[key] = err.Error()
		}
	})
	for key, want := range map[string]string{"enforce": "a name of its own", "enforce.slack[1]": "no TLS", "enforce.pagerduty[0]": "32"} {
		if !strings.Contains(said[key], want) {
			t.Errorf("%s: %q", key, said[key])
		}
	}
	if _, _, err := receivers(&cfg); err == nil {
		t.Error("two channels of one name were taken")
	}
}
