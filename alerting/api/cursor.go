package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/go-json-experiment/json"
)

// Page is a part of a list. Next is the cursor of the part after it, empty at the end.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
	// Total counts the whole list, where that is known.
	Total int `json:"total,omitzero"`
}

const macSize = 16

// seal makes a cursor: where to go on, and the question that it belongs to, under a key of
// the installation, so that nobody makes up another.
func (s *Service) seal(question string, at any) string {
	b, err := json.Marshal(at)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(s.mac(question, b), b...))
}

// unseal reads a cursor into at. An empty one is the beginning: ok is false.
func (s *Service) unseal(question, cursor string, at any) (ok bool, err error) {
	if cursor == "" {
		return false, nil
	}
	wrong := invalid("cursor", "the cursor is not one of this list: begin without one")
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < macSize || len(cursor) > 8192 {
		return false, wrong
	}
	if !hmac.Equal(b[:macSize], s.mac(question, b[macSize:])) || json.Unmarshal(b[macSize:], at) != nil {
		return false, wrong
	}
	return true, nil
}

func (s *Service) mac(question string, b []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("cursor\x00" + question + "\x00"))
	h.Write(b)
	return h.Sum(nil)[:macSize]
}
