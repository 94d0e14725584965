package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far the time of a request may be off: a request that somebody recorded is
// worth nothing later.
const tolerance = 5 * time.Minute

// verify checks a request as Standard Webhooks describes: webhook-signature holds, separated
// by blanks, "v1," and base64 of HMAC-SHA256 over id.timestamp.body for each secret in use.
func verify(keys [][]byte, h http.Header, body []byte, now time.Time) error {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" {
		return errors.New("webhook-id or webhook-timestamp is missing")
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("the request is too old, or from the future: compare the clocks")
	}
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		want := mac.Sum(nil)
		for _, s := range strings.Fields(h.Get("webhook-signature")) {
			text, ok := strings.CutPrefix(s, "v1,")
			got, err := base64.StdEncoding.DecodeString(text)
			if ok && err == nil && hmac.Equal(got, want) {
				return nil
			}
		}
	}
	return errors.New("no signature is right: compare the secrets")
}

// readSecret reads whsec_ and base64.
func readSecret(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 {
		return nil, fmt.Errorf("%s: is no secret: write whsec_ and base64 of at least 24 bytes", file)
	}
	return key, nil
}
