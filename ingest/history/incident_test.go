package history

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/schemas"
)

// Only what happened since the campaign began renews a credential.
func TestCampaignProgress(t *testing.T) {
	h, c := open(t)
	change := func(id string, second int, credential, change string) schemas.Event {
		return schemas.Event{ID: id, Type: schemas.TypeCredential, Time: at(second), Account: "acct-" + credential, Credential: credential, Kind: "api_key", Change: change}
	}
	insertEvents(t, c, 0, 0,
		schemas.Event{ID: "s1", Type: schemas.TypeSend, Time: at(5), Account: "acct-k1", Credential: "k1"},
		change("c1", 10, "k1", "created"), change("c2", 200, "k1", "rotated"),
		change("c3", 50, "k2", "rotated"),                                     // before: it leaked later
		change("c4", 11, "k3", "created"), change("c5", 300, "k3", "enabled"), // renews nothing
		change("c6", 400, "k4", "revoked"),
		change("c7", 500, "k6", "created"), // made afterwards
		schemas.Event{ID: "a1", Type: schemas.TypeAccount, Time: at(20), Account: "acct-k5", Credentials: []schemas.AccountCredential{{ID: "k5", Kind: "smtp_password"}, {ID: "p5", Kind: "user_password"}}},
	)
	for i, a := range []string{"acct-k2", "acct-k1"} {
		err := c.Exec(t.Context(), fmt.Sprintf("INSERT INTO notices (log_id, topic, partition, offset, arrival, kind, id, time, account, outcome) SELECT 'log', 'notices', 0, %d, now64(3), 'notice', 'n%d', fromUnixTimestamp64Milli(%d), '%s', 'sent'", i, i, at(250), a))
		if err != nil {
			t.Fatal(err)
		}
	}
	since := start.Add(100 * time.Second)
	p, err := h.CampaignProgress(t.Context(), &schemas.Campaign{Since: since, Credentials: []string{"k1", "k2", "k3", "k4", "gone"}}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if p.All != 5 || p.Renewed != 2 || p.Notified != 1 || p.Unknown != 1 {
		t.Errorf("%+v", p)
	}
	var got []string
	for _, r := range p.Items {
		got = append(got, fmt.Sprintf("%s %s %s %v", r.Credential, r.Account, r.Change, !r.Notified.IsZero()))
	}
	if diff := cmp.Diff([]string{"gone   false", "k2 acct-k2  true", "k3 acct-k3  false", "k1 acct-k1 rotated true", "k4 acct-k4 revoked false"}, got); diff != "" {
		t.Error(diff)
	}
	p, err = h.CampaignProgress(t.Context(), &schemas.Campaign{Since: since, Everybody: true}, 2)
	if err != nil || p.All != 4 || p.Renewed != 1 || len(p.Items) != 2 { // k1, k2, k3, k5; k4 was named first by its end
		t.Errorf("everybody's: %+v, %v", p, err)
	}
}

func TestHunt(t *testing.T) {
	h, c := open(t)
	insertEvents(t, c, 0, 0,
		schemas.Event{ID: "e1", Type: schemas.TypeSend, Time: at(1), Account: "a1", IP: netip.MustParseAddr("203.0.113.9"), Credential: "k1"},
		schemas.Event{ID: "e2", Type: schemas.TypeLogin, Time: at(2), Account: "a2", User: "u", IP: netip.MustParseAddr("203.0.113.200"), UserAgent: "curl/8.1 EvilBot"},
		schemas.Event{ID: "e3", Type: schemas.TypeSend, Time: at(3), Account: "a3", IP: netip.MustParseAddr("2001:db8:1::5"), Credential: "k3"},
		schemas.Event{ID: "e4", Type: schemas.TypeSend, Time: at(4), Account: "a1", IP: netip.MustParseAddr("203.0.113.9"), Credential: "k1"},
		schemas.Event{ID: "e1", Type: schemas.TypeSend, Time: at(1), Account: "a1", IP: netip.MustParseAddr("203.0.113.9"), Credential: "k1"},
	)
	got, err := h.Hunt(t.Context(), []string{"203.0.113.9", "203.0.113.0/24", "2001:db8:1::/48", "ua:evilbot", "key:k3", "k1", "198.51.100.1"}, time.Time{}, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range got.Hits {
		lines = append(lines, fmt.Sprintf("%s %s %d %d", x.Kind, x.Indicator, x.Events, x.Accounts))
	}
	want := []string{"address 203.0.113.9 2 1", "network 203.0.113.0/24 3 2", "network 2001:db8:1::/48 1 1", "user_agent evilbot 1 1", "key k3 1 1", "key k1 2 1", "address 198.51.100.1 0 0"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if fmt.Sprint(got.Accounts) != "[a1 a2 a3]" || !got.Hits[0].First.Equal(start.Add(time.Second)) || !got.Hits[0].Last.Equal(start.Add(4*time.Second)) || !got.Hits[6].First.IsZero() {
		t.Errorf("%+v", got)
	}
	if later, err := h.Hunt(t.Context(), []string{"k1"}, start.Add(2*time.Second), start.Add(time.Hour)); err != nil || later.Hits[0].Events != 1 {
		t.Errorf("from the second second on: %+v, %v", later, err)
	}
	for _, bad := range []string{"", "ua:x", "two words"} {
		if _, err := h.Hunt(t.Context(), []string{bad}, time.Time{}, start); err == nil {
			t.Errorf("%q is an indicator", bad)
		}
	}
	if _, err := h.Hunt(t.Context(), make([]string, schemas.MaxIndicators+1), time.Time{}, start); err == nil {
		t.Error("any number of indicators is taken")
	}
}
