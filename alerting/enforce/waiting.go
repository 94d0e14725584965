package enforce

import (
	"slices"
	"sync"
	"time"

	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// waiting holds letters back that are not to be sent at once. Two things happen to them:
//
//   - One that waits for what follows in its case (notify.Letter.Wait) is superseded by it:
//     of a review and the stop that follows a second later people read the stop alone.
//   - Many that come at once (notify.Spree) are gathered: the first few within Quiet go by
//     themselves, the others as one message gatherFor after the first of them, and then each
//     time Quiet has passed.
//
// It is a function of the outbox and the journal: after a kill the letters come again, and
// notices that were written down say what was sent when, and which letters belonged to a
// message that was under way.
type waiting struct {
	wake chan struct{}

	mu      sync.Mutex
	threads map[string]*held  // by receiver and case: one that waits
	sprees  map[string]*spree // by receiver and name
	claims  map[string]string // by letter: the message that it belongs to
	left    map[string]int    // by message: how many of its letters are to come
	parts   map[string][]*held
	present map[string]*held // by letter: from its coming to its outcome
	size    int
}

// held is one letter.
type held struct {
	letter *notify.Letter
	id     string
	done   []func() // of it and of its copies
	due    time.Time
}

// parcel is what is sent as one message, or superseded.
type parcel struct {
	id         string // of a message about several
	letters    []*held
	due        time.Time
	superseded bool
	claimed    bool
}

// order is what goes one after the other.
func (p *parcel) order() string {
	if p.id != "" {
		return "message:" + p.letters[0].letter.To
	}
	return p.letters[0].letter.Entity.Key()
}

// spree is what is known of one group at one receiver.
type spree struct {
	alone    []time.Time // of messages that went by themselves within the quiet time
	digest   time.Time   // the newest message about several
	gathered []*held
	due      time.Time
}

const (
	// gatherFor is how long the first message about several waits for company.
	gatherFor = 30 * time.Second
	// maxWaiting bounds how many letters wait: below 2 KiB each without their evidence. Beyond
	// it what waits is sent.
	maxWaiting = 16_384
	// idleWait is how long there is nothing to look for.
	idleWait = time.Hour
)

func newWaiting() *waiting {
	return &waiting{
		wake: make(chan struct{}, 1), threads: map[string]*held{}, sprees: map[string]*spree{}, claims: map[string]string{}, left: map[string]int{}, parts: map[string][]*held{}, present: map[string]*held{},
	}
}

// claim takes in that a letter belonged to a message that was under way.
func (w *waiting) claim(n *schemas.Notice) {
	if _, ok := w.claims[n.ID]; !ok && n.Message != "" {
		w.claims[n.ID] = n.Message
		w.left[n.Message]++
	}
}

// settled takes in that a notice was sent.
func (w *waiting) settled(n *schemas.Notice) {
	if id, ok := w.claims[n.ID]; ok {
		delete(w.claims, n.ID)
		w.left[id]--
	}
	if n.Spree == "" || n.Outcome != OutcomeSent {
		return
	}
	g := w.group(n.To, n.Spree)
	if n.Message != "" {
		g.digest = later(g.digest, n.Time)
	} else {
		g.alone = append(g.alone, n.Time)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *waiting) group(to, name string) *spree {
	key := threadOf(to, name)
	g := w.sprees[key]
	if g == nil {
		g = new(spree)
		w.sprees[key] = g
	}
	return g
}

// take takes a letter in and returns what is to be sent at once.
func (w *waiting) take(now time.Time, h *held) []parcel {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := h.letter
	if first := w.present[l.ID]; first != nil {
		first.done = append(first.done, h.done...) // the same letter, written twice
		return nil
	}
	w.present[l.ID] = h
	if id, ok := w.claims[l.ID]; ok {
		return w.rejoin(id, h)
	}
	h.due = l.Time
	if l.Occasion == nil {
		return []parcel{{letters: []*held{h}, due: h.due}}
	}
	var out []parcel
	thread := threadOf(l.To, l.Occasion.Case)
	if old := w.threads[thread]; old != nil {
		delete(w.threads, thread)
		w.size--
		out = append(out, parcel{letters: []*held{old}, superseded: true})
		if l.Audience == notify.AudienceCustomer && l.Occasion.Ends() {
			// They heard nothing of it, and hear nothing of its end.
			return append(out, parcel{letters: []*held{h}, superseded: true})
		}
	}
	if due := l.Time.Add(time.Duration(l.Wait)); due.After(now) && w.size < maxWaiting {
		h.due = due
		w.threads[thread] = h
		w.size++
		w.look()
		return out
	}
	return append(out, w.pass(now, h)...)
}

// finish forgets a letter whose outcome is written down.
func (w *waiting) finish(h *held) {
	w.mu.Lock()
	delete(w.present, h.id)
	done := h.done
	w.mu.Unlock()
	for _, f := range done {
		f()
	}
}

// rejoin puts a letter to those of the message that it belonged to, which goes once all are
// there.
func (w *waiting) rejoin(id string, h *held) []parcel {
	delete(w.claims, h.letter.ID)
	w.parts[id] = append(w.parts[id], h)
	if w.left[id]--; w.left[id] > 0 {
		return nil
	}
	p := parcel{id: id, letters: w.parts[id], due: h.letter.Time, claimed: true}
	delete(w.parts, id)
	delete(w.left, id)
	if s := h.letter.Spree; s != nil {
		w.group(h.letter.To, s.Name).digest = h.letter.Time
	}
	return []parcel{p}
}

// pass sends a letter that is due, or gathers it.
func (w *waiting) pass(now time.Time, h *held) []parcel {
	l := h.letter
	if l.Spree == nil {
		return []parcel{{letters: []*held{h}, due: h.due}}
	}
	g, quiet := w.group(l.To, l.Spree.Name), time.Duration(l.Spree.Quiet)
	g.alone = slices.DeleteFunc(g.alone, func(t time.Time) bool { return now.Sub(t) >= quiet })
	if len(g.gathered) == 0 && len(g.alone) < l.Spree.Alone && now.Sub(g.digest) >= quiet {
		g.alone = append(g.alone, now)
		return []parcel{{letters: []*held{h}, due: h.due}}
	}
	if len(g.gathered) == 0 {
		g.due = later(now.Add(min(gatherFor, quiet)), g.digest.Add(quiet))
		w.look()
	}
	if len(g.gathered) > 0 {
		h.letter = light(l)
	}
	g.gathered = append(g.gathered, h)
	w.size++
	if w.size > maxWaiting {
		return []parcel{w.flush(g, now)}
	}
	return nil
}

// light is a letter without its evidence, of which a message about several shows nothing.
func light(l *notify.Letter) *notify.Letter {
	cut, o := *l, *l.Occasion
	o.Seen, o.Why, o.Reason, o.Steps = nil, notify.Clip(o.Why, 200), "", nil
	cut.Occasion = &o
	return &cut
}

// flush takes what a group has gathered.
func (w *waiting) flush(g *spree, now time.Time) parcel {
	all := g.gathered
	g.gathered, g.digest = nil, now
	w.size -= len(all)
	if len(all) == 1 {
		return parcel{letters: all, due: now}
	}
	return parcel{id: schemas.DeriveID("dig", all[0].letter.ID, all[len(all)-1].letter.ID), letters: all, due: now}
}

// due returns what has waited long enough, and how long there is nothing more.
func (w *waiting) due(now time.Time) ([]parcel, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := now.Add(idleWait)
	soon := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	var ready []*held
	for key, h := range w.threads {
		if h.due.After(now) {
			soon(h.due)
			continue
		}
		delete(w.threads, key)
		w.size--
		ready = append(ready, h)
	}
	slices.SortFunc(ready, func(a, b *held) int { return a.letter.Time.Compare(b.letter.Time) })
	var out []parcel
	for _, h := range ready {
		out = append(out, w.pass(now, h)...)
	}
	for key, g := range w.sprees {
		switch {
		case len(g.gathered) == 0:
			if len(g.alone) > 0 && now.Sub(g.alone[len(g.alone)-1]) < 24*time.Hour || now.Sub(g.digest) < 24*time.Hour {
				continue
			}
			delete(w.sprees, key)
		case g.due.After(now):
			soon(g.due)
		default:
			out = append(out, w.flush(g, now))
		}
	}
	return out, max(next.Sub(now), time.Millisecond)
}

// look has the times looked at again.
func (w *waiting) look() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
