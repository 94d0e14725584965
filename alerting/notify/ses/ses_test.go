package ses

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"holdfast/alerting/enforce"
	"holdfast/alerting/notify"
	"holdfast/alerting/notify/ses/sestest"
	"holdfast/schemas"
)

var (
	_ enforce.Platform = (*SES)(nil)
	_ enforce.Reporter = (*SES)(nil)
	_ enforce.Chooser  = (*SES)(nil)
)

func account(id string) schemas.Entity { return schemas.Entity{Kind: schemas.KindAccount, ID: id} }

func change(id, status string) notify.Change {
	return schemas.ChangeOf(&schemas.Status{Entity: account(id), Status: status})
}

func start(t *testing.T, transport http.RoundTripper, set func(*Config)) *SES {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Region, cfg.Tenant = "eu-central-1", "mail-{account}"
	if set != nil {
		set(&cfg)
	}
	s, err := New(t.Context(), cfg, Deps{Transport: transport, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A suspension disables the tenant, its end enables it, twice is as once, and the tenant's ARN
// is asked for once.
func TestATenantIsStoppedAndReleased(t *testing.T) {
	f := sestest.New("mail-acct-1", "mail-acct-2")
	s := start(t, f, nil)
	arn := f.Tenants["mail-acct-1"]
	for _, c := range []struct{ status, want string }{
		{"suspended", "DISABLED"}, {"suspended", "DISABLED"}, {"throttled", "ENABLED"}, {"suspended", "DISABLED"}, {"active", "ENABLED"},
	} {
		if retry, err := s.Change(t.Context(), change("acct-1", c.status)); err != nil || retry {
			t.Fatalf("%s: %v, %v", c.status, retry, err)
		}
		if f.Statuses[arn] != c.want || f.Statuses[f.Tenants["mail-acct-2"]] != "ENABLED" {
			t.Errorf("%s: %v", c.status, f.Statuses)
		}
		is, err := s.Status(t.Context(), account("acct-1"))
		if err != nil || (is.Status == "suspended") != (c.want == "DISABLED") {
			t.Errorf("after %s SES is said to be %+v, %v", c.status, is, err)
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(f.Calls), func(c string) bool { return !strings.Contains(c, "/tenants/get") })); n != 1 || f.Unsigned > 0 {
		t.Errorf("%d questions for the ARN, %d calls without the region's signature", n, f.Unsigned)
	}
	if !strings.Contains(strings.Join(f.Calls, "\n"), `PUT /v2/email/reputation/entities/RESOURCE/arn%3Aaws%3Ases%3Aeu-central-1%3A123456789012%3Atenant%2Fmail-acct-1%2Ftn-0000/customer-managed-status {"SendingStatus":"DISABLED"}`) {
		t.Errorf("calls:\n%s", strings.Join(f.Calls, "\n"))
	}
}

func TestAReleaseMayReinstate(t *testing.T) {
	f := sestest.New("mail-acct-1")
	s := start(t, f, func(c *Config) { c.Released = "REINSTATED" })
	if _, err := s.Change(t.Context(), change("acct-1", "active")); err != nil || f.Statuses[f.Tenants["mail-acct-1"]] != "REINSTATED" {
		t.Errorf("%v, %v", err, f.Statuses)
	}
}

// What may pass is tried again, after the pause that SES asks for; what cannot is refused.
func TestWhatMayPass(t *testing.T) {
	for _, c := range []struct {
		sestest.Failure
		retry bool
	}{
		{sestest.Failure{Status: 429, Code: "TooManyRequestsException", After: "7"}, true},
		{sestest.Failure{Status: 400, Code: "ThrottlingException"}, true},
		{sestest.Failure{Status: 409, Code: "ConflictException"}, true},
		{sestest.Failure{Status: 409, Code: "ConcurrentModificationException"}, true},
		{sestest.Failure{Status: 403, Code: "AccessDeniedException"}, true},
		{sestest.Failure{Status: 403, Code: "ExpiredTokenException"}, true},
		{sestest.Failure{Status: 500, Code: "InternalServiceErrorException"}, true},
		{sestest.Failure{Status: 503, Code: "ServiceUnavailable", After: "7"}, true},
		{sestest.Failure{Status: 400, Code: "BadRequestException"}, false},
		{sestest.Failure{Status: 404, Code: "NotFoundException"}, true}, // its ARN was known: it is asked for anew
		{sestest.Failure{Cut: true}, true},
	} {
		f := sestest.New("mail-acct-1")
		s := start(t, f, nil)
		if _, err := s.Status(t.Context(), account("acct-1")); err != nil { // so that the next call is the change itself
			t.Fatal(err)
		}
		f.Fail = []sestest.Failure{c.Failure}
		retry, err := s.Change(t.Context(), change("acct-1", "suspended"))
		var e *Error
		if retry != c.retry || !errors.As(err, &e) {
			t.Fatalf("%+v: retry %v, %v", c.Failure, retry, err)
		}
		if want := map[string]time.Duration{"7": 7 * time.Second}[c.After]; e.RetryAfter() != want {
			t.Errorf("%+v: a pause of %s", c.Failure, e.RetryAfter())
		}
		if !strings.Contains(err.Error(), c.Code) || strings.Contains(err.Error(), "https://") {
			t.Errorf("%+v: %s", c.Failure, err)
		}
		if retry, err := s.Change(t.Context(), change("acct-1", "suspended")); err != nil || retry || f.Statuses[f.Tenants["mail-acct-1"]] != "DISABLED" {
			t.Errorf("%+v, then again: %v, %v", c.Failure, retry, err)
		}
	}
}

// A tenant that does not exist is refused, and found once it does, also under another ARN.
func TestTenantsThatComeAndGo(t *testing.T) {
	f := sestest.New()
	moved := &struct{ http.RoundTripper }{f}
	s := start(t, moved, nil)
	if retry, err := s.Change(t.Context(), change("acct-1", "suspended")); retry || err == nil {
		t.Errorf("no tenant: %v, %v", retry, err)
	}
	for _, name := range []string{"first", "second"} {
		f = sestest.New(name, "mail-acct-1")
		moved.RoundTripper = f
		if name == "second" {
			f.Tenants["mail-acct-1"] += "-again"
			f.Statuses[f.Tenants["mail-acct-1"]] = "ENABLED"
			delete(f.Statuses, strings.TrimSuffix(f.Tenants["mail-acct-1"], "-again"))
			if retry, err := s.Change(t.Context(), change("acct-1", "suspended")); !retry || err == nil {
				t.Errorf("a tenant that was made again: %v, %v", retry, err)
			}
		}
		if _, err := s.Change(t.Context(), change("acct-1", "suspended")); err != nil || f.Statuses[f.Tenants["mail-acct-1"]] != "DISABLED" {
			t.Errorf("%s: %v, %v", name, err, f.Statuses)
		}
	}
}

// A read that is behind the last write gives the older status: at worst a change is told again.
func TestReadsMayBeBehind(t *testing.T) {
	f := sestest.New("mail-acct-1")
	f.Lag = 1
	s := start(t, f, nil)
	stop := change("acct-1", "suspended")
	if _, err := s.Change(t.Context(), stop); err != nil {
		t.Fatal(err)
	}
	for i, differs := range []bool{true, false} {
		is, err := s.Status(t.Context(), account("acct-1"))
		if err != nil || (is.Differs(&stop) != "") != differs {
			t.Errorf("read %d: %+v, %v", i, is, err)
		}
	}
}

func TestWhomSESConcerns(t *testing.T) {
	f := sestest.New()
	all, some := start(t, f, nil), start(t, f, func(c *Config) { c.Map = map[string]string{"acct-1": "arn:aws:ses:eu-central-1:1:tenant/a/tn-1"} })
	for _, c := range []struct {
		entity    schemas.Entity
		status    string
		stopped   bool
		all, some bool
	}{
		{account("acct-1"), "suspended", false, true, true}, {account("acct-1"), "throttled", false, false, false},
		{account("acct-1"), "active", false, false, false}, {account("acct-1"), "active", true, true, true},
		{account("acct-2"), "suspended", false, true, false}, {schemas.Entity{Kind: schemas.KindEmployee, ID: "e"}, "suspended", false, false, false},
		{schemas.Entity{Kind: schemas.KindIP, ID: "192.0.2.1"}, "blocked", false, false, false},
	} {
		st := &schemas.Status{Entity: c.entity, Status: c.status}
		if got := all.Takes(st, c.stopped); got != c.all {
			t.Errorf("%+v by template: %v", c, got)
		}
		if got := some.Takes(st, c.stopped); got != c.some {
			t.Errorf("%+v by map: %v", c, got)
		}
	}
	if _, err := some.Change(context.Background(), change("acct-1", "suspended")); err == nil || len(f.Calls) != 1 || strings.Contains(f.Calls[0], "tenants/get") {
		t.Errorf("an ARN that is known was asked for: %v", f.Calls)
	}
}

func TestBadConfigs(t *testing.T) {
	for what, set := range map[string]func(*Config){
		"region":   func(c *Config) { c.Region = "Frankfurt" },
		"tenant":   func(c *Config) { c.Tenant = "everybody" },
		"released": func(c *Config) { c.Released = "DISABLED" },
		"endpoint": func(c *Config) { c.Endpoint = "localhost:1" },
		"timeout":  func(c *Config) { c.Timeout = 0 },
	} {
		cfg := DefaultConfig()
		cfg.Region = "eu-central-1"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		if set(&cfg); cfg.Validate() == nil || !strings.Contains(cfg.Validate().Error(), what) {
			t.Errorf("a wrong %s: %v", what, cfg.Validate())
		}
	}
}
