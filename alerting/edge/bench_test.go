package edge

import (
	"runtime"
	"testing"

	"holdfast/schemas"
)

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkLookup(b *testing.B) {
	f := newTopic()
	f.say("account:acct-1", "suspended", 1, 1)
	e, _ := running(b, f, Default())
	until(b, "reading", e.Ready)
	var buf []byte
	for b.Loop() {
		a := e.Lookup(schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"})
		buf = a.appendJSON(buf[:0])
	}
}
