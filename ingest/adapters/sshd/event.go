package sshd

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// nextID derives an event's id from where its line stands and what it says.
func (r *Reader) nextID() string {
	r.emitted++
	return schemas.DeriveID("ssh", strconv.FormatInt(r.line, 10), r.text, strconv.Itoa(r.emitted))
}

func (r *Reader) write(id string, m message, at time.Time) {
	b := r.buf[:0]
	b = append(b, `{"id":`...)
	b = appendString(b, id)
	b = append(b, `,"type":"login","time":"`...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	b = append(b, '"')
	who := "account"
	if r.opts.Staff {
		who = "employee"
	}
	ip, host := "", ""
	switch {
	case m.peer.ip.IsValid():
		ip = m.peer.ip.String()
	case m.peer.name != "UNKNOWN":
		host = m.peer.name
	}
	// "rhost" is no field of a login: it is kept in the audit row as it came.
	for _, f := range [...][2]string{
		{who, accountOf(m.user)}, {"user", m.user}, {"ip", ip}, {"rhost", host}, {"outcome", m.outcome}, {"method", m.method}, {"reason", m.reason},
	} {
		if f[1] == "" && f[0] != "user" {
			continue
		}
		b = append(b, ',', '"')
		b = append(b, f[0]...)
		b = append(b, '"', ':')
		b = appendString(b, f[1])
	}
	b = append(b, '}')
	r.buf = b
	r.emit(b)
}

// accountOf makes a user name an account: what cannot be shown is replaced, and
// a name too long is cut, its hash behind it.
func accountOf(user string) string {
	if user == "" {
		return "(empty)"
	}
	id := strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return utf8.RuneError
		}
		return c
	}, strings.ToValidUTF8(user, "\ufffd"))
	if len(id) > schemas.MaxID {
		id = strings.ToValidUTF8(id[:schemas.MaxID-40], "") + schemas.DeriveID("…", user)
	}
	return id
}

func appendString(b []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > schemas.MaxText {
		s = strings.ToValidUTF8(s[:schemas.MaxText], "")
	}
	b, err := jsontext.AppendQuote(b, s)
	if err != nil { // only invalid UTF-8 is an error
		return append(b, `""`...)
	}
	return b
}
