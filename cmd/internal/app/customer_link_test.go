package app

import (
	"strings"
	"testing"
	"time"

	"holdfast/alerting/notify"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

// Customers' mails lead to the page that is configured, or else to the console's where it is
// reached from outside.
func TestCustomersMailsCarryTheirPage(t *testing.T) {
	for _, x := range []struct{ origin, page, want string }{
		{"https://holdfast.example", "", "https://holdfast.example/c/signed"},
		{"https://holdfast.example", "https://platform.example/me/{account}", "https://platform.example/me/acct-1"},
		{"", "https://proxy.example/c/{token}", "https://proxy.example/c/signed"},
		{"", "", ""},
	} {
		cfg := config.Default()
		cfg.API.Origin, cfg.Enforce.Words.CustomerURL = x.origin, x.page
		w, err := newWriter(&cfg, func(account, id string, _ time.Time) string {
			if account != "acct-1" || id != "case_1" {
				t.Errorf("a token of %s and %s", account, id)
			}
			return "signed"
		})
		if err != nil {
			t.Fatal(err)
		}
		o := notify.Occasion{What: notify.Stopped, Case: "case_1", Entity: schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}, Account: "acct-1", Verdict: schemas.VerdictSuspend}
		body := w.Write(notify.AudienceCustomer, "en", []*notify.Occasion{&o}).Body
		if x.want == "" && strings.Contains(body, "https://") || !strings.Contains(body, x.want) {
			t.Errorf("origin %q, page %q: want the link %q in\n%s", x.origin, x.page, x.want, body)
		}
	}
}

// The provider's button says who it is.
func TestProvidersButton(t *testing.T) {
	if got := provider(config.OIDC{Issuer: "https://login.example.com/realms/a"}); got != "login.example.com" {
		t.Error(got)
	}
	if got := provider(config.OIDC{}); got != "" {
		t.Error(got)
	}
}
