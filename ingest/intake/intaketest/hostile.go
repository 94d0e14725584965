package intaketest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"holdfast/schemas"
)

// Hostile is NDJSON in which every second line must be refused.
type Hostile struct {
	Data []byte
	Good map[string]string // the good lines by id
	Bad  int               // lines to be refused
}

// Now is the arrival for which hostile records are made.
var Now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// NewHostile makes n records that must be refused, each with a good neighbour.
func NewHostile(seed uint64, n int) *Hostile {
	r := rand.New(rand.NewPCG(seed, seed))
	h := &Hostile{Good: make(map[string]string, n), Bad: n}
	var out bytes.Buffer
	for i := range n {
		id := fmt.Sprintf("good-%d", i)
		good := record(id, r)
		h.Good[id] = good
		bad := hostile(record(fmt.Sprintf("bad-%d", i), r), i, r)
		if r.IntN(2) == 0 {
			bad, good = good, bad
		}
		for _, line := range []string{bad, good} {
			out.WriteString(line)
			out.WriteString([]string{"\n", "\r\n"}[r.IntN(2)])
		}
	}
	h.Data = out.Bytes()
	return h
}

func record(id string, r *rand.Rand) string {
	at := Now.Add(-time.Duration(r.IntN(3600)) * time.Second).Format(time.RFC3339Nano)
	return fmt.Sprintf(`{"id":%q,"time":%q,"type":"send","account":"acct-%03d","ip":"192.0.2.%d","recipients":["a%d@example.net"],"message_id":"m%d","size":%d,"note":"ü"}`,
		id, at, r.IntN(500), r.IntN(256), r.IntN(1e6), r.IntN(1e6), r.IntN(1e5))
}

// hostile spoils a record in one of the ways that senders and attackers do.
func hostile(s string, i int, r *rand.Rand) string {
	swap := func(old, with string) string { return strings.Replace(s, old, with, 1) }
	if i%10_000 == 0 { // rarely, for they are big
		return []string{
			`{"id":"huge","x":"` + strings.Repeat("a", schemas.MaxRecord+r.IntN(3<<20)) + `"}`,
			strings.Repeat("[", 2*schemas.MaxRecord),
			strings.Repeat("\x00", 3*schemas.MaxRecord),
		}[i/10_000%3]
	}
	if i%200 == 1 {
		return swap(`"note":"ü"`, `"note":`+strings.Repeat("[", 10_001)+strings.Repeat("]", r.IntN(10_001)))
	}
	switch r.IntN(20) {
	case 0:
		return s[:1+r.IntN(len(s)-2)]
	case 1:
		return strings.Repeat(`{"a":`, 1+deep(r))
	case 2:
		return swap(`"note":"ü"`, `"note":[[[[}]]]]`)
	case 3:
		return swap(`"type":"send"`, `"type":"send","id":"other"`)
	case 4:
		return swap(`"note":"ü"`, `"note":{"a":1,"\u0061":2}`)
	case 5:
		return swap("ü", "\xc3")
	case 6:
		return swap("ü", `\ud800`)
	case 7:
		return swap(`"2026-`, `"2099-`)
	case 8:
		return swap(`"2026-`, `"1970-`)
	case 9:
		return swap(`"account":"`, `"account":["`)
	case 10:
		return swap(`"size":`, `"size":-1e30`)
	case 11:
		return swap(`"recipients":[`, `"recipients":[null,`)
	case 12:
		return swap(`"type":"send"`, `"type":"SEND"`)
	case 13:
		return swap(`acct-`, `\u0000\u202e`)
	case 14:
		return swap(`"ip":"192`, `"ip":"1192`)
	case 15:
		return s + s
	case 16:
		return swap(`"account"`, `"acount"`)
	case 17:
		return swap(`"id":"`, `"id":"`+strings.Repeat("x", schemas.MaxID))
	case 18:
		return "\ufeff" + s
	}
	return []string{`null`, `[]`, `""`, `{}`, `0`, `{`, `}`, `,`, "\x00", "\xff\xfe{", `{"id":}`, `{'id':1}`, `NaN`, strings.Repeat("9", 5000), "\x1b[2J", `--`}[r.IntN(16)]
}

// deep is a depth of nesting: seldom beyond what any reader goes down to.
func deep(r *rand.Rand) int {
	if r.IntN(100) == 0 {
		return r.IntN(150_000)
	}
	return r.IntN(300)
}
