package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/api"
)

// flash is what an act shows on the page that follows it, once.
type flash struct {
	Bad  bool   `json:"bad,omitzero"`
	Text string `json:"text"`
	More string `json:"more,omitempty"`
	Undo *undo  `json:"undo,omitempty"`
}

// undo is the act that undoes another.
type undo struct {
	Entity string    `json:"entity"`
	In     api.ActIn `json:"in"`
	Back   string    `json:"back"`
}

const flashCookie = "holdfast-told"

// tell keeps a flash for the next page: in a cookie, sealed, for a minute.
func (c *Console) tell(w http.ResponseWriter, f flash) {
	b, err := json.Marshal(f)
	if err != nil || len(b) > 3000 {
		f.Undo, f.More = nil, ""
		if len(f.Text) > 1000 {
			f.Text = strings.ToValidUTF8(f.Text[:1000], "")
		}
		if b, err = json.Marshal(f); err != nil {
			return
		}
	}
	http.SetCookie(w, c.flashCookie(base64.RawURLEncoding.EncodeToString(append(c.seal("flash", b), b...)), 60))
}

func (c *Console) flashCookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: flashCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: c.cfg.Secure, SameSite: http.SameSiteLaxMode} // #nosec G124 -- Secure is off where there is no TLS, on one machine
}

// told takes the flash that was kept for this page.
func (c *Console) told(w http.ResponseWriter, r *http.Request) *flash {
	k, err := r.Cookie(flashCookie)
	if err != nil || k.Value == "" {
		return nil
	}
	http.SetCookie(w, c.flashCookie("", -1))
	b, err := base64.RawURLEncoding.DecodeString(k.Value)
	if err != nil || len(b) <= sealSize || !hmac.Equal(b[:sealSize], c.seal("flash", b[sealSize:])) {
		return nil
	}
	f := new(flash)
	if json.Unmarshal(b[sealSize:], f) != nil {
		return nil
	}
	return f
}

const sealSize = 16

// seal is the proof that this installation wrote something for a purpose.
func (c *Console) seal(purpose string, b []byte) []byte { return sealOf(c.cfg.Key, purpose, b) }

func sealOf(key []byte, purpose string, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("console\x00" + purpose + "\x00"))
	h.Write(b)
	return h.Sum(nil)[:sealSize]
}
