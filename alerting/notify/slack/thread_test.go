package slack

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post/posttest"
)

// workspace answers as chat.postMessage is documented to: errors come with status 200, and
// the message itself follows the first fields.
type workspace struct {
	t     *testing.T
	posts []message
	ts    map[string]bool
	next  []func(http.ResponseWriter) // answers in place of the usual one
}

func (s *workspace) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(s.next) > 0 {
		f := s.next[0]
		s.next = s.next[1:]
		f(w)
		return
	}
	say := func(problem string) { fmt.Fprintf(w, `{"ok":false,"error":%q}`, problem) }
	var m message
	switch err := json.UnmarshalRead(r.Body, &m); {
	case err != nil:
		say("invalid_json")
	case r.Header.Get("Authorization") != "Bearer xoxb-1":
		say("invalid_auth")
	case m.Channel != "C0ABUSE":
		say("channel_not_found")
	case m.Thread != "" && !s.ts[m.Thread]:
		say("thread_not_found")
	case len(m.Blocks) > maxBlocks:
		say("invalid_blocks")
	default:
		valid(s.t, m)
		s.posts = append(s.posts, m)
		ts := fmt.Sprintf("17.%06d", len(s.posts))
		s.ts[ts] = true
		fmt.Fprintf(w, `{"ok":true,"channel":"C0ABUSE","ts":%q,"message":{"text":%q}}`, ts, strings.Repeat("x", 9000))
	}
}

func TestWhatFollowsStandsInTheThread(t *testing.T) {
	space := &workspace{t: t, ts: map[string]bool{}}
	server := httptest.NewServer(space)
	defer server.Close()
	s, err := New(Config{Name: "abuse-desk", TokenFile: posttest.Secret(t, "xoxb-1"), Channel: "C0ABUSE", URL: server.URL, Timeout: 5 * time.Second}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	of := func(what notify.What, thread string) notify.Message {
		m := message1("x")
		m.Occasion, m.Thread = notify.Occasion{What: what, Case: "case_1"}, thread
		return m
	}
	ref, _, err := s.SendIn(t.Context(), of(notify.Slowed, ""))
	if err != nil || ref == "" {
		t.Fatalf("%q %v", ref, err)
	}
	for _, what := range []notify.What{notify.Stopped, notify.Relapsed} {
		if _, _, err := s.SendIn(t.Context(), of(what, ref)); err != nil {
			t.Fatal(err)
		}
		if last := space.posts[len(space.posts)-1]; last.Thread != ref || last.Broadcast != (what == notify.Relapsed) || last.UnfurlLinks {
			t.Errorf("%s: %+v", what, last)
		}
	}
	// Where the thread is gone it goes into the channel.
	if again, _, err := s.SendIn(t.Context(), of(notify.Released, "16.000001")); err != nil || again == "" || space.posts[len(space.posts)-1].Thread != "" {
		t.Errorf("%q %v", again, err)
	}
	for problem, retry := range map[string]bool{"invalid_auth": true, "channel_not_found": true, "ratelimited": true, "invalid_blocks": false, "msg_too_long": false} {
		space.next = append(space.next, func(w http.ResponseWriter) { fmt.Fprintf(w, `{"ok":false,"error":%q}`, problem) })
		if _, got, err := s.SendIn(t.Context(), of(notify.Stopped, "")); err == nil || got != retry || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: retry %v, %v", problem, got, err)
		}
	}
	space.next = append(space.next, func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, _, err = s.SendIn(t.Context(), of(notify.Stopped, ""))
	if after, ok := err.(interface{ RetryAfter() time.Duration }); !ok || after.RetryAfter() != 30*time.Second {
		t.Errorf("%v", err)
	}
	for _, nonsense := range []string{"", "no", "[]", `{"ok":false}`, `{"ok":tr`} {
		space.next = append(space.next, func(w http.ResponseWriter) { fmt.Fprint(w, nonsense) })
		if _, retry, err := s.SendIn(t.Context(), of(notify.Stopped, "")); err == nil || !retry {
			t.Errorf("%q was taken", nonsense)
		}
	}
}

func TestALinkIsOursAlone(t *testing.T) {
	m := message1("see <https://evil.example|here>")
	m.CaseURL, m.Button = "https://holdfast.example/cases/a|b>", "Open the case"
	links := 0
	for _, b := range payload(m).Blocks {
		if b.Text != nil && b.Text.Type == "mrkdwn" && strings.Contains(b.Text.Text, "<") {
			links++
		}
	}
	if links != 1 {
		t.Errorf("%d links", links)
	}
}
