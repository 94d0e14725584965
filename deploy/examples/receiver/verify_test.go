package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The vector is the one of the Standard Webhooks specification.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := readSecret(file)
	if err != nil {
		t.Fatal(err)
	}
	body, at := []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0)
	h := func(signature string) http.Header {
		return http.Header{"Webhook-Id": {"msg_p5jXN8AQM9LWM0D4loKWxJek"}, "Webhook-Timestamp": {"1614265330"}, "Webhook-Signature": {signature}}
	}
	const good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	for what, c := range map[string]struct {
		h    http.Header
		body []byte
		now  time.Time
		ok   bool
	}{
		"good":           {h(good), body, at, true},
		"one of several": {h("v1,AAAA v2,x " + good), body, at.Add(4 * time.Minute), true},
		"another body":   {h(good), append(bytes.Clone(body), ' '), at, false},
		"too old":        {h(good), body, at.Add(6 * time.Minute), false},
		"from tomorrow":  {h(good), body, at.Add(-6 * time.Minute), false},
		"another one":    {h("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="), body, at, false},
		"no version":     {h(good[3:]), body, at, false},
		"none":           {http.Header{}, body, at, false},
	} {
		if err := verify([][]byte{key}, c.h, c.body, c.now); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, text := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ", "whsec_?"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readSecret(file); err == nil {
			t.Errorf("%q was taken for a secret", text)
		}
	}
}

// A line that a kill cut off is taken away, and what stands before it is in force.
func TestACutLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	line := `{"id":"a","entity":{"kind":"account","id":"1"},"status":"suspended","episode":2,"step":1}` + "\n"
	if err := os.WriteFile(path, []byte(line+line[:40]), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := openState(path)
		if err != nil || s.get("account:1") == nil || s.get("account:1").Status != "suspended" {
			t.Fatal(s, err)
		}
		if applied, err := s.apply(&change{ID: "b", Status: "active", Episode: 2, Step: 0, Entity: s.get("account:1").Entity}, func(_, _ *change) error { return nil }); applied || err != nil {
			t.Errorf("an older change was applied: %v, %v", applied, err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != line {
		t.Errorf("%q, %v", b, err)
	}
}
