package clickhouse

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"holdfast/schemas"
)

// The columns of the views are of the types that the reference of tables names.
func TestViewsAreAsDescribed(t *testing.T) {
	c := open(t)
	if _, err := Migrate(t.Context(), c, MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, v := range schemas.Views() {
		var want, got []string
		for _, col := range v.Columns {
			want = append(want, col.Name+" "+col.Type)
		}
		rows, err := c.Query(t.Context(), "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = ? ORDER BY position", v.Name)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var name, typ string
			if err := rows.Scan(&name, &typ); err != nil {
				t.Fatal(err)
			}
			got = append(got, name+" "+typ)
		}
		_ = rows.Close()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", v.Name, diff)
		}
	}
}

// What holds now is the newest by (episode, step), and by a case's version, in whatever
// order the rows were written, and however often.
func TestViewsShowTheNewest(t *testing.T) {
	c := open(t)
	if _, err := Migrate(t.Context(), c, MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 10, 0, 0, 123e6, time.UTC)
	acct := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}
	offset := 0
	type record struct {
		schemas.Decision `json:",inline"`
		Status           *schemas.Status `json:"status,omitempty"`
	}
	decision := func(d schemas.Decision, s *schemas.Status) {
		t.Helper()
		d.Entity, d.Account, d.Time, d.Mode = acct, acct.ID, at, schemas.ModeLive
		body, err := json.Marshal(record{d, s})
		if err != nil {
			t.Fatal(err)
		}
		offset++
		err = c.Exec(t.Context(), fmt.Sprintf("INSERT INTO decisions (log_id, topic, partition, offset, arrival, kind, id, time, entity, account, verdict, policy, policy_version, mode, body) "+
			"SELECT 'log', 'decisions', 0, %d, fromUnixTimestamp64Milli(%d), 'decision', ?, fromUnixTimestamp64Milli(%d), ?, ?, ?, ?, %d, 'live', ?", offset, at.UnixMilli(), at.UnixMilli(), d.PolicyVersion),
			d.ID, acct.Key(), acct.ID, string(d.Verdict), d.Policy, string(body))
		if err != nil {
			t.Fatal(err)
		}
	}
	stopped := &schemas.Status{Entity: acct, Status: "suspended", Episode: 3, Step: 1, Verdict: schemas.VerdictSuspend, Decision: "d2", Since: at, Case: "case_1", Until: at.Add(time.Hour)}
	decision(schemas.Decision{ID: "d2", Verdict: schemas.VerdictSuspend, Policy: "takeover", PolicyVersion: 2}, stopped)
	decision(schemas.Decision{ID: "d2", Verdict: schemas.VerdictSuspend, Policy: "takeover", PolicyVersion: 2}, stopped)
	decision(schemas.Decision{ID: "d1", Verdict: schemas.VerdictThrottle, Policy: "takeover", PolicyVersion: 2}, &schemas.Status{Entity: acct, Status: "throttled", Episode: 3, Step: 0, Since: at})
	decision(schemas.Decision{ID: "d3", Verdict: schemas.VerdictObserve, Policy: "takeover", PolicyVersion: 2}, nil)
	var status, policy, caseID string
	var since, until time.Time
	var n uint64
	row := c.QueryRow(t.Context(), "SELECT any(status), any(policy), any(case), any(since), assumeNotNull(any(until)), count() FROM standing WHERE entity = ?", acct.Key())
	if err := row.Scan(&status, &policy, &caseID, &since, &until, &n); err != nil {
		t.Fatal(err)
	}
	if status != "suspended" || policy != "takeover" || caseID != "case_1" || !since.Equal(at) || !until.Equal(at.Add(time.Hour)) || n != 1 {
		t.Errorf("standing: %s by %s, case %s, since %v until %v, %d rows", status, policy, caseID, since, until, n)
	}
	var id, verdict string
	if err := c.QueryRow(t.Context(), "SELECT any(id), any(verdict), count() FROM decisions_now").Scan(&id, &verdict, &n); err != nil || n != 1 || verdict == "observe" {
		t.Errorf("decisions_now: %s %s, %d rows (%v)", id, verdict, n, err)
	}
	for i, x := range []schemas.Case{
		{ID: "case_1", Version: 2, Stage: schemas.StageContained, Verdict: schemas.CaseCompromised, Owner: "ada", Due: at, Policies: []string{"takeover@2"}, Relapses: 1,
			Steps: []schemas.Step{{ID: "mfa:u1", Proof: &schemas.Proof{What: "enabled"}}, {ID: "confirmation:"}}},
		{ID: "case_1", Version: 1, Stage: schemas.StageOpen},
		{ID: "case_2", Stage: schemas.StageClosed},
	} {
		x.Entity, x.Time, x.Opened = acct, at, at
		body, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Exec(t.Context(), fmt.Sprintf("INSERT INTO cases (log_id, topic, partition, offset, arrival, kind, id, time, entity, account, body) "+
			"SELECT 'log', 'cases', 0, %d, fromUnixTimestamp64Milli(%d), 'case', ?, fromUnixTimestamp64Milli(%d), ?, '', ?", i, at.UnixMilli(), at.UnixMilli()), x.ID, acct.Key(), string(body))
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := c.Query(t.Context(), "SELECT concat(id, ' ', stage, ' ', verdict, ' ', owner, ' ', toString(relapses), ' ', toString(policies), ' ', toString(steps), ' ', toString(steps_open), ' ', toString(isNull(due))) FROM cases_now ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var got []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if diff := cmp.Diff([]string{"case_1 contained compromised ada 1 ['takeover@2'] 2 1 0", "case_2 closed undetermined  0 [] 0 0 1"}, got); diff != "" {
		t.Error(diff)
	}
}
