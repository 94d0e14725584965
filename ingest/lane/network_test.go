package lane

import (
	"testing"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// A fold is told what intake noted of the address; a header that intake cannot have
// written counts as none.
func TestReadGivesTheNetwork(t *testing.T) {
	l := &lane{r: &Runner{cfg: Config{Role: Detect()}}, names: newNames()}
	for text, want := range map[string]schemas.Network{
		"cc=DE;as=64496;k=h;c=Berlin": {Country: "DE", ASN: 64496, Hosting: true, City: "Berlin"},
		"cc=DE;k=x":                   {},
		"":                            {},
	} {
		rec := &kafka.Record{Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte("event")}, {Key: schemas.HeaderNetwork, Value: []byte(text)}}}
		if l.read(0, rec); l.in.Network != want {
			t.Errorf("%q: %+v, want %+v", text, l.in.Network, want)
		}
	}
	if l.read(0, &kafka.Record{}); l.in.Network.Known() {
		t.Errorf("a record without the header has its predecessor's network: %+v", l.in.Network)
	}
}
