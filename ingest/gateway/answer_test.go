package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
)

// checkAnswer posts a body and holds the answer against the standard library's
// reader, which is another than the one that wrote it.
func checkAnswer(t *testing.T, g *Gateway, body []byte) {
	t.Helper()
	w := post(g, bytes.NewReader(body))
	if !json.Valid(w.Body.Bytes()) || !utf8.Valid(w.Body.Bytes()) {
		t.Errorf("status %d, answer to %q: %q", w.Code, body, w.Body)
	}
}

// TestAnswersAreJSON cuts values within characters of every length. On 76a1c02 the
// answer to such a line broke off in the midst.
func TestAnswersAreJSON(t *testing.T) {
	g := handler(t, Config{}, Deps{Writer: intaketest.Producer(t, &intaketest.Broker{Lanes: 3}, intake.Config{})})
	for _, r := range []string{"a", "é", "…", "😀", "\xff", "\xf0\x9f", "\u2028", "\x00", `\ud800`, `\u0000`} {
		for n := range 8 {
			long := strings.Repeat("x", n) + strings.Repeat(r, 70)
			for _, line := range []string{
				`{"id":"` + long + `","type":"login"}`, `{"id":"1","type":"` + long + `"}`, `{"` + long + `":1,"` + long + `":2}`, long,
				`{"id":"` + long + `","type":"login","account":"a","time":"` + long + `"}`,
				`{"id":"1","type":"login","account":"a","time":"2026-03-02T11:00:08Z","user":"u","outcome":"` + long + `"}`,
				`{"id":"1","type":"login","account":"a","time":"2026-03-02T11:00:08Z","user":"` + strings.Repeat(long, 9) + `","outcome":"success"}`,
			} {
				checkAnswer(t, g, []byte(line))
			}
		}
	}
}

func FuzzAnswer(f *testing.F) {
	b := &intaketest.Broker{Lanes: 3}
	f.Add([]byte(`{"id":"` + strings.Repeat("é", 60) + `","type":"login"}`))
	f.Add([]byte("{\"id\":\"1\",\"type\":\"\xff\"}\n\xfe"))
	f.Add([]byte(`{"é":1,"é":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g := handler(t, Config{}, Deps{Writer: intaketest.Producer(t, b, intake.Config{})})
		checkAnswer(t, g, body)
	})
}

// Whoever asks for another path is told what to send where.
func TestElsewhere(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := httptest.NewRecorder()
		Elsewhere(w, httptest.NewRequest(method, "/", strings.NewReader("{}")))
		var p struct {
			Status int
			Detail string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%s: %v in %s", method, err, w.Body)
		}
		if w.Code != http.StatusNotFound || p.Status != w.Code || !strings.Contains(p.Detail, "POST /v1/events") || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d, %v, %s", method, w.Code, w.Header(), w.Body)
		}
	}
}
