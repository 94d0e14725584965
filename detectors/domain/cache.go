package domain

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// cacheSize is how many names are remembered: with what they take, 1 MB at most,
// whatever names come.
const cacheSize = 2048

// cache remembers where the registrable domains of the last names began, one name for
// each place. The list's own lookup makes an error that is thrown away for every name,
// and takes ten times as long; senders' names come again and again. It changes no
// answer, and is safe for use by several goroutines.
type cache struct {
	seed   maphash.Seed
	places [cacheSize]atomic.Pointer[place]
}

type place struct {
	name  string
	start int
}

var known = cache{seed: maphash.MakeSeed()}

func (c *cache) start(name string) int {
	at := &c.places[maphash.String(c.seed, name)%cacheSize]
	if p := at.Load(); p != nil && p.name == name {
		return p.start
	}
	p := &place{name: strings.Clone(name), start: startOf(name)}
	at.Store(p)
	return p.start
}
