package schemas

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// factBytes is more than most facts take.
const factBytes = 384

// AppendFact appends a fact as JSON, as it would be marshalled. Facts are most of
// what detection writes. An error says that a text is not UTF-8.
func AppendFact(b []byte, f *Fact) ([]byte, error) {
	w := factWriter{b: slices.Grow(b, factBytes)}
	w.text(`{"kind":`, string(f.Kind))
	w.text(`,"name":`, f.Name)
	w.entity(`,"entity":`, f.Entity)
	w.entity(`,"from":`, f.From)
	w.number(`,"time":`, f.Time)
	w.number(`,"window":`, f.Window)
	w.some(`,"value":`, f.Value)
	w.some(`,"account":`, f.Account)
	w.some(`,"employee":`, f.Employee)
	w.some(`,"credential":`, f.Credential)
	w.some(`,"address":`, f.Address)
	w.text(`,"event":`, f.Event)
	w.text(`,"origin":`, string(f.Origin))
	w.number(`,"arrival":`, f.Arrival)
	w.number(`,"lane":`, int64(f.Lane))
	w.number(`,"block":`, f.Block)
	w.number(`,"n":`, f.N)
	if w.err != nil {
		return nil, fmt.Errorf("fact to %s: %w", f.Entity.Key(), w.err)
	}
	return append(w.b, '}'), nil
}

// AppendActive appends an account's day as JSON, in the same way.
func AppendActive(b []byte, a *Active) ([]byte, error) {
	w := factWriter{b: b}
	w.text(`{"account":`, a.Account)
	w.number(`,"day":`, a.Day)
	if w.err != nil {
		return nil, fmt.Errorf("active account: %w", w.err)
	}
	return append(w.b, '}'), nil
}

type factWriter struct {
	b   []byte
	err error
}

func (w *factWriter) text(name, s string) {
	w.b = append(w.b, name...)
	b, err := jsontext.AppendQuote(w.b, s)
	if err != nil {
		w.err = err
		return
	}
	w.b = b
}

func (w *factWriter) some(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *factWriter) entity(name string, e Entity) {
	w.b = append(w.b, name...)
	w.text(`{"kind":`, string(e.Kind))
	w.text(`,"id":`, e.ID)
	w.b = append(w.b, '}')
}

func (w *factWriter) number(name string, n int64) {
	w.b = strconv.AppendInt(append(w.b, name...), n, 10)
}
