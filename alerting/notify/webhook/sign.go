package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Names of the headers that Standard Webhooks fixes
// (https://github.com/standard-webhooks/standard-webhooks, version 1).
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

const secretPrefix = "whsec_"

// The bounds that Standard Webhooks puts on a secret, in bytes.
const (
	minSecret = 24
	maxSecret = 64
)

// parseSecret reads whsec_ and base64.
func parseSecret(s string) ([]byte, error) {
	text, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return nil, fmt.Errorf("the secret does not begin with %s: make one with `openssl rand -base64 32 | sed s/^/%[1]s/`", secretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the secret after %s is not base64", secretPrefix)
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return nil, fmt.Errorf("the secret has %d bytes after base64: use %d to %d", len(key), minSecret, maxSecret)
	}
	return key, nil
}

// signature signs id.timestamp.body with each secret, space between.
func signature(secrets [][]byte, id string, at time.Time, body []byte) string {
	out := make([]string, 0, len(secrets))
	for _, key := range secrets {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(out, " ")
}
