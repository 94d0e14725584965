package replay

import (
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"

	"holdfast/schemas"
)

// hearing is how many lines later at the latest one lane hears what the other told
// it. It is counted in lines, so that the outcome does not depend on which lane is
// faster nor on how the file was cut into blocks.
const hearing = 512

// pace tells for each line up to which line its lane has to have heard the other:
// hearing lines back, and in a file of few lines to where the file stood the lateness
// ago. No order within that matters to anybody, while months may lie in 512 lines. As
// only employees tell accounts something, it is the last of theirs up to there.
type pace struct {
	lines [2 * hearing]paced // by their number
	heard int64
}

// paced is what is known of all lines up to one.
type paced struct {
	latest int64        // their latest time
	told   [lanes]int64 // the last one by which a lane may have told the other something
}

// line looks at a line and returns the latest time of all up to it.
func (p *pace) line(x *line) (latest int64) {
	at := func(n int64) *paced { return &p.lines[n%int64(len(p.lines))] }
	now := at(x.n)
	*now = *at(x.n - 1)
	if x.before = now.latest; x.err == nil {
		now.latest = max(now.latest, x.event.Time)
	}
	p.heard = max(p.heard, x.n-hearing)
	for p.heard+1 < x.n && at(p.heard+1).latest <= now.latest-schemas.Lateness.Milliseconds() {
		p.heard++
	}
	if x.err == nil && x.lane != ofAddresses {
		x.heard = at(p.heard).told[1-x.lane]
		if mayTell(x.key) {
			now.told[x.lane] = x.n
		}
	}
	return now.latest
}

// mayTell reports whether an entity may tell accounts and employees something.
func mayTell(key string) bool { return strings.HasPrefix(key, string(schemas.KindEmployee)+":") }

// word is a fact that an entity of one lane tells one of the other.
type word struct {
	line int64 // at which it was told
	in   schemas.Input
	turn turn // what followed from it
}

// talk is what the lanes tell each other while they run over a file.
type talk struct {
	sides [lanes]side
	mu    sync.Mutex
	words [lanes][]*word // for each, which it has yet to take
}

// side is what one lane shows the other, far enough apart that no cache line is both's.
type side struct {
	come atomic.Int64 // the line that it has come past
	busy atomic.Bool  // a worker is at it
	_    [112]byte
}

// begin begins a file.
func (d *detection) begin() {
	for i := range d.lanes {
		l := &d.lanes[i]
		l.at, l.heard, l.wants = 0, 0, 0
		d.talk.sides[i].come.Store(0)
	}
}

// tell says what a lane has to say, and that it has come past a line.
func (t *talk) tell(l *lane, line int64) {
	if len(l.said) > 0 {
		t.mu.Lock()
		other := &t.words[1-l.number]
		*other = append(*other, l.said...)
		t.mu.Unlock()
		l.said = l.said[:0]
	}
	t.sides[l.number].come.Store(line)
}

// listen takes what the other lane has said, at least up to where it has come.
func (t *talk) listen(l *lane) {
	l.heard = t.sides[1-l.number].come.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	l.waiting = append(l.waiting, t.words[l.number]...)
	t.words[l.number] = nil
}

// glances is how often a lane looks whether the other one comes, some 10 µs: handing
// itself on and being taken up again takes longer than what the other has to do in
// most cases.
const glances = 10_000

// await looks for a moment whether the other lane comes as far as this one wants, as
// long as a worker is at it.
func (t *talk) await(l *lane) bool {
	for range glances {
		if t.mayGoOn(l) {
			return true
		}
		if !t.sides[1-l.number].busy.Load() {
			break
		}
	}
	return t.mayGoOn(l)
}

// mayGoOn reports whether the other lane has come as far as this one wants.
func (t *talk) mayGoOn(l *lane) bool { return t.sides[1-l.number].come.Load() >= l.wants }

// detect folds in the lane's lines of a block. Where it has to wait for the other lane
// it returns false, and is called again with the same block; it has then said how far
// it has come itself, so that the one that is behind can always go on.
func (l *lane) detect(b *block, t *talk) bool {
	busy := &t.sides[l.number].busy
	busy.Store(true)
	defer busy.Store(false)
	defer l.now.Store(0)
	for rest := b.own[l.number] >> l.at << l.at; rest != 0; rest &= rest - 1 {
		l.at = bits.TrailingZeros64(rest)
		x := &b.lines[l.at]
		if l.wants = x.heard; l.heard < x.heard {
			t.tell(l, x.n-1)
			if !t.await(l) {
				return false
			}
			t.listen(l)
		}
		l.now.Store(x.n)
		x.told = l.told(x)
		x.input(&l.in)
		l.event(&l.in, &x.turn)
		l.follow(&l.in, &x.turn, x.n)
		if len(x.turn.outs) > 0 || x.turn.err != nil || len(x.told) > 0 {
			b.outcome[l.number] |= 1 << l.at
		}
		if mayTell(x.key) {
			t.tell(l, x.n)
		}
	}
	if n := len(b.lines); n > 0 {
		t.tell(l, b.lines[n-1].n)
	}
	l.at = 0
	return true
}

// told folds in what the other lane said long enough before a line.
func (l *lane) told(x *line) []*word {
	n := 0
	for n < len(l.waiting) && l.waiting[n].line <= x.heard {
		l.hear(l.waiting[n], x.n)
		n++
	}
	if n == 0 {
		return nil
	}
	told := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return told
}

func (l *lane) hear(w *word, line int64) {
	w.turn.err = l.fact(w.in, &w.turn, 0)
	l.follow(&w.in, &w.turn, line)
}

// follow folds in the facts among what followed from a record, or tells the other lane.
func (l *lane) follow(in *schemas.Input, t *turn, line int64) {
	for i := 0; i < len(t.outs); i++ {
		o := &t.outs[i].out
		if !forPeople(o) {
			continue
		}
		fact := inputOf(o, in.Arrival)
		switch {
		case laneOf([]byte(o.Key)) == l.number:
			t.outs[i].err = l.fact(fact, t, int32(i+1))
		case in.Topic != schemas.TopicEvents || !mayTell(in.Key):
			t.outs[i].err = fmt.Errorf("%s tells it, and nobody waits for what does not come of an employee's event", in.Key)
		default:
			fact.Fact = nil // its texts are the line's, which is gone when it is heard
			l.said = append(l.said, &word{line: line, in: fact})
		}
	}
}

// hearOut folds in what has been said when all lines are done, and what follows from it.
func (d *detection) hearOut() (all []*word) {
	for i := range d.lanes {
		d.talk.listen(&d.lanes[i])
	}
	for {
		n := len(all)
		for i := range d.lanes {
			l, other := &d.lanes[i], &d.lanes[(i+1)%lanes]
			for _, w := range l.waiting {
				l.hear(w, w.line)
			}
			all = append(all, l.waiting...)
			l.waiting = nil
			other.waiting = append(other.waiting, l.said...)
			l.said = nil
		}
		if len(all) == n {
			return all
		}
	}
}
