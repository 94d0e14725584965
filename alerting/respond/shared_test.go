package respond_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/policy"
	"holdfast/alerting/respond"
	"holdfast/schemas"
)

// An address that cannot come from outside, that many share or that is a proxy of one's
// own is never blocked: a person is asked, once, and told why.
func TestSharedAddressesAreReviewed(t *testing.T) {
	text, err := os.ReadFile("testdata/policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	policies := mustPolicies(t, "trusted_proxies: [203.0.113.64/26, '2001:db8:1:2::53', '64:ff9b::203.0.113.200']\n"+string(text))
	for id, shared := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "10.0.0.2": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.1.1": true, "169.254.7.7": true,
		"0.0.0.0": true, "100.64.0.1": true, "224.0.0.1": true, "255.255.255.255": true, "240.0.0.1": true,
		"::/64": true, "fe80::/64": true, "fd00:1:2:3::/64": true, "ff02::/64": true, "64:ff9b::/64": true, "64:ff9b:1:2::/64": true, "2001:0:c633:6407::/64": true,
		"203.0.113.64": true, "203.0.113.127": true, "203.0.113.200": true, "2001:db8:1:2::/64": true,
		"203.0.113.63": false, "203.0.113.128": false, "198.51.100.7": false, "192.0.2.1": false, "172.32.0.1": false, "11.0.0.1": false, "100.128.0.1": false,
		"2001:db8:1:3::/64": false, "2001:4860::/64": false, "2002:c633:6407::/64": false,
	} {
		e := schemas.Entity{Kind: schemas.KindIP, ID: id}
		b := newInbox(t, respond.Config{Policies: policies, AgeLimit: 6 * time.Hour})
		b.signal(sig("a", e, src, medium, noon, observed(6)))
		b.signal(sig("b", e, src, high, noon.Add(time.Minute), certain))
		b.signal(sig("c", e, src, schemas.SeverityCritical, noon.Add(time.Hour), certain))
		got, want := strings.Join(b.verdicts(), ", "), "address-review review, address-certain block"
		if shared {
			want = "address-review review, address-certain block→observe"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
			continue
		}
		if n := len(b.proposals); shared != (n == 0) {
			t.Errorf("%s: %d blocks were proposed", id, n)
		}
		for _, d := range b.decisions() {
			if hint := strings.Contains(d.Reason, "a proxy hides its clients"); hint != shared {
				t.Errorf("%s: the reason is %q", id, d.Reason)
			}
		}
	}
}

// What is shared holds for the built-in policies too, and nobody's account is shared.
func TestSharedIsOfAddressesOnly(t *testing.T) {
	for _, id := range []string{"acct-1", "", "10.0.0", "example.com"} {
		if what := policy.Default().SharedAddress(id); what != "" {
			t.Errorf("%q is %s", id, what)
		}
	}
	if what := policy.Default().SharedAddress("10.0.0.2"); what != "a private address" {
		t.Errorf("10.0.0.2 is %q", what)
	}
}
