package edge

import (
	"strings"
	"unique"
)

// words are what many entities share of their standing. Each is kept once.
type words struct {
	status, reason string
	revoked        string // ids, each ended by a zero byte
	perDay         int64
}

func intern(st *Standing) unique.Handle[words] {
	w := words{status: st.Status, reason: st.Reason, perDay: st.PerDay}
	if len(st.Revoked) > 0 {
		w.revoked = strings.Join(st.Revoked, "\x00") + "\x00"
	}
	return unique.Make(w)
}

// credentials takes revoked apart.
func (w *words) credentials() []string {
	if w.revoked == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(w.revoked, "\x00"), "\x00")
}
