package intake

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/schemas"
)

func bound(l Limits) *Source {
	s := &Source{Name: "http:partner", Origin: schemas.OriginLive}
	s.Bind(l)
	return s
}

// A source that is bound to accounts names no other account, in whatever field a record
// can name one, and says nothing of employees or of addresses alone.
func TestSourcesAreBoundToAccounts(t *testing.T) {
	list, prefix := Limits{Accounts: []string{"acct-9", "acct-1"}}, Limits{AccountPrefix: "eu-"}
	both := Limits{Accounts: []string{"acct-1"}, AccountPrefix: "eu-", Employees: true}
	const send = `"type":"send","recipient_count":1,"account":`
	for _, c := range []struct {
		limits Limits
		fields string
		field  string // of the refusal, "" where it is taken
	}{
		{Limits{}, send + `"acct-7"`, ""},
		{list, send + `"acct-1"`, ""},
		{list, send + `"acct-9"`, ""},
		{list, send + `"acct-7"`, "account"},
		{list, send + `"acct-10"`, "account"},
		{list, send + `"eu-1"`, "account"},
		{prefix, send + `"eu-1"`, ""},
		{prefix, send + `"us-1"`, "account"},
		{prefix, send + `"xeu-1"`, "account"},
		{both, send + `"acct-1"`, ""},
		{both, send + `"eu-2"`, ""},
		{both, send + `"us-2"`, "account"},
		{list, `"type":"delivery","message_id":"m","outcome":"hard_bounce","account":"acct-7"`, "account"},
		{list, `"type":"login","user":"u","outcome":"failure","account":"acct-7"`, "account"},
		{list, `"type":"login","user":"u","outcome":"failure","employee":"eve"`, "employee"},
		{both, `"type":"login","user":"u","outcome":"failure","employee":"eve"`, ""},
		{list, `"type":"credential","credential":"k","kind":"api_key","change":"created","account":"acct-7"`, "account"},
		{list, `"type":"credential","credential":"k","kind":"api_key","change":"created","account":"acct-1","employee":"eve"`, "employee"},
		{list, `"type":"access","employee":"eve","action":"view_account","account":"acct-1"`, "employee"},
		{both, `"type":"access","employee":"eve","action":"view_account","account":"acct-1"`, ""},
		{both, `"type":"access","employee":"eve","action":"view_account","accounts":["acct-1","eu-3"]`, ""},
		{both, `"type":"access","employee":"eve","action":"view_account","accounts":["acct-1","acct-7"]`, "accounts"},
		{both, `"type":"access","employee":"eve","action":"view_account","account":"acct-7"`, "account"},
		{list, `"type":"connection","ip":"192.0.2.1","state":"open","account":"acct-1"`, ""},
		{list, `"type":"connection","ip":"192.0.2.1","state":"open","account":"acct-7"`, "account"},
		{list, `"type":"connection","ip":"192.0.2.1","state":"open"`, "account"},
		{list, `"type":"account","account":"acct-7"`, "account"},
		{list, `"type":"account","account":"acct-1","parent":"acct-7"`, "parent"},
		{list, `"type":"account","account":"acct-1","parent":"acct-9"`, ""},
	} {
		var checker Checker
		_, err := checker.Check([]byte(`{"id":"e1","time":"2026-03-02T00:00:08Z",`+c.fields+`}`), bound(c.limits), arrival)
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%+v: %s: refused: %v", c.limits, c.fields, err)
		case c.field != "" && (err == nil || err.Reason != schemas.ReasonNotAccount || err.Field != c.field || err.Fix == "" || !strings.Contains(err.What, "http:partner")):
			t.Errorf("%+v: %s: %v, must be refused for %s", c.limits, c.fields, err, c.field)
		}
	}
}

// The trust in a source stands in its records' headers, whatever a record claims.
func TestTrustIsTheSources(t *testing.T) {
	for trust, want := range map[schemas.Trust]string{"": "", schemas.TrustFull: "", schemas.TrustEvidence: "evidence"} {
		var checker Checker
		rec, err := checker.Check([]byte(strings.Replace(login, `"user"`, `"trust":"full","user"`, 1)), bound(Limits{Trust: trust}), arrival)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, h := range rec.Headers {
			if h.Key == schemas.HeaderTrust {
				got = string(h.Value)
			}
		}
		if got != want {
			t.Errorf("trust %q stands as %q, want %q", trust, got, want)
		}
	}
}

func TestLimitsMistakes(t *testing.T) {
	for want, l := range map[string]Limits{
		"accounts":       {Accounts: []string{""}},
		"account_prefix": {AccountPrefix: strings.Repeat("x", 200)},
		"employees":      {Employees: true},
		"trust":          {Trust: "some"},
		"rate":           {Rate: -1},
		"burst":          {Burst: 5},
	} {
		if all := l.Mistakes(); len(all) != 1 || !strings.Contains(all[0].Error(), want) {
			t.Errorf("%+v: %v, want one of %s", l, all, want)
		}
	}
}

// A source that has sent more than its rate allows waits until that is paid off; what had
// begun to come was taken whole.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bound(Limits{Rate: 10, Burst: 50})
		if late := s.Late(time.Now()); late != 0 {
			t.Errorf("the first record waits %s", late)
		}
		for range 150 {
			s.Spend(time.Now())
		}
		if late := s.Late(time.Now()); late < 10*time.Second || late > 11*time.Second {
			t.Errorf("after 100 too many it waits %s", late)
		}
		time.Sleep(11 * time.Second)
		if late := s.Late(time.Now()); late != 0 {
			t.Errorf("11 s later it waits %s", late)
		}
		begun := time.Now()
		for range 100 {
			if err := s.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took < 8*time.Second || took > 11*time.Second {
			t.Errorf("100 records one after the other took %s", took)
		}
		if free := bound(Limits{}); free.Late(time.Now()) != 0 || free.Wait(context.Background()) != nil {
			t.Error("a source without a rate waits")
		}
	})
}
