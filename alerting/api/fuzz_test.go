package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"holdfast/schemas"
)

// Whatever is sent to whichever route, the answer is one that the document has, and no
// problem of ours.
func FuzzRequests(f *testing.F) {
	w := newWorld(f)
	c := w.open("acct-1")
	token := w.add("adm", RoleAdmin)
	all := routes()
	for i := range all {
		path, _, _ := sample(&all[i], c.ID)
		f.Add(i, path, "limit=3", `{"act":"note","text":"x","why":"y"}`, `"case_x.1"`, "k")
	}
	f.Fuzz(func(t *testing.T, i int, path, query, body, match, key string) {
		r := &all[(i%len(all)+len(all))%len(all)]
		if r.id == "streamChanges" || !strings.HasPrefix(path, "/") || strings.ContainsAny(path+query, " \x00\r\n#") {
			t.Skip()
		}
		req, err := http.NewRequest(r.method, "http://x"+path+"?"+query, strings.NewReader(body))
		if err != nil || strings.Contains(path, "/changes") {
			t.Skip()
		}
		req.RemoteAddr = "192.0.2.1:1"
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("If-Match", match)
		req.Header.Set("Idempotency-Key", key)
		out := httptest.NewRecorder()
		w.handler.ServeHTTP(out, req)
		if out.Code >= 500 {
			t.Errorf("%s %s: %d %s", r.method, req.URL, out.Code, out.Body)
		}
	})
}

// Records of the followed topics that cannot be read change nothing, and break nothing.
func FuzzRecords(f *testing.F) {
	for _, x := range []string{`{"rev":1,"name":"ann","role":"viewer"}`, `{"entity":{"kind":"account","id":"a"},"status":"suspended"}`, `{"id":"case_1","entity":{"kind":"account","id":"a"}}`, `{"id":"o","act":"snooze","entity":{"kind":"account","id":"a"}}`, ``} {
		f.Add("account:a", x)
		f.Add("person:ann", x)
		f.Add("token:t", x)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		b, p := NewBook(nil), newPeople(Config{}, nil, nil)
		b.whole()
		good := Record{Topic: schemas.TopicStatus, Key: "account:a", Value: []byte(`{"entity":{"kind":"account","id":"a"},"status":"suspended"}`)}
		if err := b.Apply(good); err != nil {
			t.Fatal(err)
		}
		for _, topic := range []schemas.Topic{schemas.TopicStatus, schemas.TopicCasebook, schemas.TopicOperator} {
			if err := b.Apply(Record{Topic: topic, Key: key, Value: []byte(value)}); err == nil {
				continue
			}
			if st, _ := b.Status(schemas.Entity{Kind: schemas.KindAccount, ID: "a"}); topic == schemas.TopicStatus && st.Status != "suspended" {
				t.Errorf("%q took the good status away", value)
			}
		}
		_ = p.apply(Record{Key: key, Value: []byte(value)})
		_ = p.apply(Record{Key: key})
		if len(p.hashes) != 0 || len(p.persons)+len(p.tokens)+len(p.sessions)+len(p.links) != 0 {
			t.Errorf("%q %q was deleted, and is still there", key, value)
		}
	})
}

// What is no hash is nobody's password, and costs no more than one.
func FuzzPasswordHash(f *testing.F) {
	f.Add(hashPassword("a password", cheap), "a password")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAA", "x")
	f.Fuzz(func(t *testing.T, hash, password string) {
		if strings.Contains(hash, "m=") && !strings.Contains(hash, "m=8,t=1") {
			t.Skip() // it may cost up to a second: bounded, and slow to fuzz
		}
		checkPassword(password, hash)
		if h := hashPassword(password, cheap); len(password) <= maxPassword && !checkPassword(password, h) {
			t.Errorf("%q has not its own hash", password)
		}
	})
}
