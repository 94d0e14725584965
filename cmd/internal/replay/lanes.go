package replay

import (
	"context"
	"math"
	"sync"

	"holdfast/schemas"
)

// hearing is how many lines later at the latest one lane hears what the other told
// it. It is counted in lines, so that the outcome does not depend on which lane is
// faster nor on how the file was cut into blocks, and is large enough that lanes
// seldom wait.
const hearing = 512

// pace tells for each line up to which line its lane has to have heard the other:
// hearing lines back, and in a file of few lines to where the file stood the lateness
// ago. No order within that matters to anybody, while months may lie in 512 lines.
type pace struct {
	latest [2 * hearing]int64 // time of all lines up to one, by its number
	heard  int64
}

func (p *pace) line(x *line) {
	at := func(n int64) *int64 { return &p.latest[n%int64(len(p.latest))] }
	now := at(x.n)
	if *now = *at(x.n - 1); x.err == nil {
		*now = max(*now, x.event.Time)
	}
	p.heard = max(p.heard, x.n-hearing)
	for p.heard+1 < x.n && *at(p.heard + 1) <= *now-schemas.Lateness.Milliseconds() {
		p.heard++
	}
	x.heard = p.heard
}

// word is a fact that an entity of one lane tells one of the other.
type word struct {
	line int64 // at which it was told
	in   schemas.Input
	turn turn // what followed from it
}

// talk is what two lanes tell each other while they run over a file.
type talk struct {
	blocks  chan *block
	tells   chan<- report
	hears   <-chan report
	said    []*word // in the block at hand
	heard   int64   // the other lane has come so far
	waiting []*word // until their line
}

// report is a lane's, at a block's end and before it waits: how far it has come, and
// what it has to say.
type report struct {
	line  int64
	words []*word
}

// ahead detects in blocks before they are needed.
func (d *detection) ahead(ctx context.Context, decoded <-chan *block) <-chan *block {
	// There is room for a report of every line that a lane may have left unheard, and
	// of the blocks beyond, so that telling never waits.
	const room = hearing + (blocksAhead+2)*(blockLines+1)
	there, back := make(chan report, room), make(chan report, room)
	a, b := &d.lanes[0], &d.lanes[1]
	a.talk, b.talk = talk{tells: there, hears: back}, talk{tells: back, hears: there}
	var running sync.WaitGroup
	for i := range d.lanes {
		l := &d.lanes[i]
		l.blocks = make(chan *block, blocksAhead)
		running.Go(l.run)
	}
	order := make(chan *block, blocksAhead)
	go func() {
		for b := range decoded {
			if ctx.Err() != nil {
				break
			}
			b.undetected.Add(lanes)
			for i := range d.lanes {
				d.lanes[i].blocks <- b
			}
			order <- b
		}
		close(order)
		for i := range d.lanes {
			close(d.lanes[i].blocks)
		}
	}()
	detected := make(chan *block, blocksAhead)
	go func() {
		defer close(detected)
		var last *block // held back: what is said in the end belongs to it
		for b := range order {
			b.undetected.Wait()
			if last != nil {
				detected <- last
			}
			last = b
		}
		running.Wait()
		if last != nil {
			last.rest = d.hearOut()
			detected <- last
		}
	}()
	return detected
}

// run folds a lane's lines of every block.
func (l *lane) run() {
	for b := range l.blocks {
		if len(b.lines) > 0 {
			l.listen(&b.lines[0]) // also where none of them is the lane's: reports may not pile up
		}
		for i := range b.lines {
			x := &b.lines[i]
			if x.err != nil || x.lane != l.number {
				continue
			}
			x.told = l.told(x)
			x.input(&l.in)
			l.event(&l.in, &x.turn)
			l.follow(&x.turn, x.n, l.in.Arrival)
		}
		if n := len(b.lines); n > 0 {
			l.report(b.lines[n-1].n)
		}
		b.undetected.Done()
	}
	close(l.tells)
	for r := range l.hears {
		l.waiting = append(l.waiting, r.words...)
	}
}

// report tells the other lane that this one has come past a line.
func (l *lane) report(line int64) {
	l.tells <- report{line, l.said}
	l.said = nil
}

// listen waits until the other lane has come close enough to a line. Before it waits
// it says how far it has come itself: the one that is behind never waits for long.
func (l *lane) listen(x *line) {
	for said := false; l.heard < x.heard; {
		var r report
		var ok bool
		select {
		case r, ok = <-l.hears:
		default:
			if !said {
				l.report(x.n - 1)
				said = true
			}
			r, ok = <-l.hears
		}
		if !ok {
			r.line = math.MaxInt64
		}
		l.heard = max(l.heard, r.line)
		l.waiting = append(l.waiting, r.words...)
	}
}

// told folds in what the other lane said long enough before a line.
func (l *lane) told(x *line) []*word {
	l.listen(x)
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
	l.follow(&w.turn, line, w.in.Arrival)
}

// follow folds in the facts among a turn's records, or tells the other lane.
func (l *lane) follow(t *turn, line, arrival int64) {
	for i := 0; i < len(t.outs); i++ {
		o := &t.outs[i].out
		if !forPeople(o) {
			continue
		}
		fact := factOf(o, arrival)
		if laneOf([]byte(o.Key)) != l.number {
			l.said = append(l.said, &word{line: line, in: fact})
			continue
		}
		t.outs[i].err = l.fact(fact, t, int32(i+1))
	}
}

// hearOut folds in what has been said when all lines are done, and what follows from it.
func (d *detection) hearOut() (all []*word) {
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
