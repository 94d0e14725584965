package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The commands of an incident ask the API what they say they ask, and show its answers.
func TestIncidentCommands(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.RequestURI()+" "+string(b))
		if r.Header.Get("Authorization") != "Bearer hft_x" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/inc_none"):
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"status":404,"code":"not_found","detail":"there is no incident inc_none"}`)
		case strings.HasSuffix(r.URL.Path, "/campaign"):
			_, _ = io.WriteString(w, `{"all":5,"renewed":2,"notified":1,"unknown":1,"items":[{"credential":"k1","account":"a1","change":"rotated","at":"2026-03-02T00:00:00Z"},{"credential":"k2"}]}`)
		case r.URL.Path == "/v1/incidents" && r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `{"items":[{"id":"inc_1","version":3,"cause":{"kind":"employee","value":"emp-03"},"title":"phished","state":"open","opened":"2026-03-02T00:00:00Z","members":2,"reached":7}]}`)
		default:
			_, _ = io.WriteString(w, `{"id":"inc_1","version":3,"entity":{"kind":"incident","id":"inc_1"},"cause":{"kind":"employee","value":"emp-03"},"title":"phished","state":"open","why":"account:a1 belongs to it: read",
				"members":[{"entity":{"kind":"account","id":"a1"},"why":"read","by":"ann"}],"standing":[{"entity":{"kind":"account","id":"a1"},"status":"suspended","case":"case_1","stage":"contained"}],
				"scope":{"run":"run_9","entity":{"kind":"employee","id":"emp-03"},"customers":7,"all":100,"share":0.07,"records":9,"bulk":1,"blind":0,"reached":[{"account":"a1","records":2,"secret":true}]},
				"hunts":[{"id":"h1","why":"w","hits":[{"indicator":"192.0.2.1","kind":"address","events":3,"accounts":1},{"indicator":"k9","kind":"key","events":0,"accounts":0}],"accounts":["a1"]}]}`)
		}
	}))
	defer s.Close()
	t.Setenv("HOLDFAST_API", s.URL)
	t.Setenv("HOLDFAST_TOKEN", "hft_x")
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("# shared by others\n192.0.2.1\nkey:k9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args        string
		asks, shows []string
	}{
		{"incident open employee:emp-03 phished --why reported", []string{`POST /v1/incidents `, `"cause":"employee:emp-03"`, `"title":"phished"`}, []string{"inc_1 is open"}},
		{"incident list", []string{"GET /v1/incidents?state=open"}, []string{"employee:emp-03", "phished", "7"}},
		{"incident list --state all", []string{"GET /v1/incidents "}, nil},
		{"incident show inc_1", []string{"GET /v1/incidents/inc_1 "}, []string{"account:a1: suspended, case case_1 contained", "7 of 100 customers (7.0 %)", "run_9", "secrets seen", "address 192.0.2.1: 3 events at 1 account", "key k9: never seen"}},
		{"incident join inc_1 account:a1 --why read", []string{"/v1/incidents/inc_1/acts", `"act":"join"`, `"item":"account:a1"`, `"why":"read"`}, []string{"belongs to it"}},
		{"incident leave inc_1 a1 --why wrong", []string{`"act":"leave"`, `"item":"a1"`}, nil},
		{"incident note inc_1 seen", []string{`"act":"note"`, `"text":"seen"`}, nil},
		{"incident assign inc_1 ben", []string{`"act":"assign"`, `"item":"ben"`}, nil},
		{"incident close inc_1 --why done", []string{`"act":"close"`}, nil},
		{"incident reopen inc_1 --why more", []string{`"act":"reopen"`}, nil},
		{"incident scope inc_1 --from 2026-03-01 --why asked", []string{"/v1/incidents/inc_1/scope", `"from":"2026-03-01T00:00:00Z"`}, []string{"run_9"}},
		{"incident campaign inc_1 --list " + list + " --since 2026-03-01 --why leaked", []string{`"act":"campaign"`, `key:k9`, `"since":"2026-03-01T00:00:00Z"`}, nil},
		{"incident campaign inc_1 --everybody --why heartbleed", []string{`"item":"everybody"`}, nil},
		{"incident campaign inc_1 --limit 2", []string{"GET /v1/incidents/inc_1/campaign?limit=2"}, []string{"2 of 5 credentials renewed", "rotated", "open"}},
		{"incident hunt inc_1 ua:curl --list " + list + " --why who", []string{"/v1/incidents/inc_1/hunts", `["ua:curl","192.0.2.1","key:k9"]`}, []string{"never seen"}},
	} {
		asked = nil
		out, errOut, code := holdfast(t, strings.Fields(x.args)...)
		if code != 0 || len(asked) != 1 {
			t.Errorf("%s: exit %d, asked %v: %s", x.args, code, asked, errOut)
			continue
		}
		for _, want := range x.asks {
			if !strings.Contains(asked[0], want) {
				t.Errorf("%s asks %s, want %s", x.args, asked[0], want)
			}
		}
		for _, want := range x.shows {
			if !strings.Contains(out, want) {
				t.Errorf("%s shows no %q:\n%s", x.args, want, out)
			}
		}
	}
	if _, errOut, code := holdfast(t, "incident", "show", "inc_none"); code != 1 || !strings.Contains(errOut, "there is no incident inc_none") {
		t.Errorf("no such incident: exit %d, %s", code, errOut)
	}
}
