package slack

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post/posttest"
	"holdfast/schemas"
)

func channel(t testing.TB, url string) *Slack {
	t.Helper()
	s, err := New(Config{Name: "abuse-desk", URLFile: posttest.Secret(t, url), Timeout: 5 * time.Second}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func message1(body string) notify.Message {
	return notify.Message{
		ID: "ntc_1", Time: time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC), Subject: "account:acct-1 has been suspended.", Body: body,
		Decision: schemas.Decision{ID: "dec_1", Entity: schemas.Entity{Kind: "account", ID: "acct-1"}, Verdict: schemas.VerdictSuspend},
	}
}

// Slack's documented limits hold for whatever a body says.
func valid(t *testing.T, m message) {
	t.Helper()
	if len(m.Blocks) > maxBlocks {
		t.Errorf("%d blocks", len(m.Blocks))
	}
	for _, b := range m.Blocks {
		if b.Text == nil {
			continue
		}
		n, limit := utf8.RuneCountInString(b.Text.Text), maxSection
		if b.Type == "header" {
			limit = maxHeader
		}
		if n == 0 || n > limit {
			t.Errorf("a %s has %d characters", b.Type, n)
		}
		if b.Type == "section" && (!strings.HasPrefix(b.Text.Text, fence) || !strings.HasSuffix(b.Text.Text, fence) || strings.Count(b.Text.Text, fence) != 2) {
			t.Errorf("the text leaves its code block: %.60q", b.Text.Text)
		}
		if strings.ContainsAny(b.Text.Text, "<>") && b.Text.Type == "mrkdwn" {
			t.Errorf("text may be a link or a mention: %.60q", b.Text.Text)
		}
	}
}

func TestAMessageIsWhatSlackTakes(t *testing.T) {
	r := posttest.New(t, 200)
	s := channel(t, r.URL)
	for _, body := range []string{
		"Evidence:\n  4312 recipients in 5m", "<!channel> <https://evil.example|click> & ``` *bold*", strings.Repeat("a line & more\n", 5000), strings.Repeat("&", 9000), strings.Repeat("ü", 400_000), "",
	} {
		if retry, err := s.Send(t.Context(), message1(body)); err != nil {
			t.Fatalf("retry %v: %v", retry, err)
		}
		var got message
		r.Last(t, &got)
		valid(t, got)
		if got.Text == "" || !strings.Contains(got.Blocks[0].Text.Text, "acct-1") {
			t.Errorf("nobody sees what it is about: %+v", got)
		}
	}
	posttest.Statuses(t, r, func(ctx context.Context) (bool, error) { return s.Send(ctx, message1("x")) })
}

func TestTheAddressIsASecret(t *testing.T) {
	r := posttest.New(t, 500)
	s := channel(t, r.URL+"/services/T000/SECRET")
	r.Close()
	if retry, err := s.Send(t.Context(), message1("x")); err == nil || !retry || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("retry %v: %v", retry, err)
	}
	for _, bad := range []string{"http://hooks.example.com/SECRET", "ftp://x/SECRET", "SECRET"} {
		if _, err := New(Config{Name: "a", URLFile: posttest.Secret(t, bad), Timeout: time.Second}, Deps{}); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzPayload(f *testing.F) {
	f.Add("subject", "body ``` <@U1> &")
	f.Fuzz(func(t *testing.T, subject, body string) {
		m := message1(body)
		m.Subject = "s" + subject
		valid(t, payload(m))
	})
}
