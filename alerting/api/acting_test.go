package api

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/schemas"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// An act with an idempotency key is done once: again, at once, and after a restart.
func TestIdempotency(t *testing.T) {
	w := newWorld(t)
	w.open("acct-1")
	ann, bob := w.add("ann", RoleAnalyst), w.add("bob", RoleAnalyst)
	suspend := func(token, key, why string) (int, string) {
		r := w.do("POST", "/v1/entities/account:acct-1/acts", ActIn{Act: "suspend", Why: why}, append(bearerOf(token), "Idempotency-Key", key)...)
		return r.Code, r.Body.String()
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	w.mu.Lock()
	w.hold = make(chan struct{})
	w.mu.Unlock()
	for range 10 {
		wg.Go(func() {
			code, _ := suspend(ann, "k", "leaked")
			mu.Lock()
			if codes[code]++; code == http.StatusConflict && codes[code] == 9 {
				close(w.hold)
			}
			mu.Unlock()
		})
	}
	wg.Wait()
	w.mu.Lock()
	w.hold = nil
	w.mu.Unlock()
	if codes[http.StatusOK] != 1 || codes[http.StatusConflict] != 9 || w.asks() != 1 {
		t.Errorf("ten at once: %v, and the lane was asked %d times", codes, w.asks())
	}
	first, body := suspend(ann, "k", "leaked")
	if first != http.StatusOK || !strings.Contains(body, `"after":"suspended"`) || w.asks() != 1 {
		t.Errorf("again: %d %s, the lane was asked %d times", first, body, w.asks())
	}
	if code, _ := suspend(ann, "k", "another reason"); code != http.StatusUnprocessableEntity {
		t.Errorf("the key for another request: %d", code)
	}
	if _, _ = suspend(bob, "k", "leaked"); w.asks() != 2 {
		t.Error("the key of one person answers another's request")
	}
	w.start() // a new process, which knows only the log
	if code, _ := suspend(ann, "k", "leaked"); code != http.StatusOK || w.asks() != 2 {
		t.Errorf("after a restart: %d, the lane was asked %d times", code, w.asks())
	}
	w.pass(25 * time.Hour)
	if _, err := w.service.again.begin("another", [32]byte{}, w.now()); err != nil || len(w.service.again.all) != 1 {
		t.Errorf("after a day %d answers are kept (%v)", len(w.service.again.all), err)
	}
}

// Of two analysts who saw the same case one acts; the other is told that it has changed.
func TestIfMatch(t *testing.T) {
	w := newWorld(t)
	c := w.open("acct-1")
	ann, bob := w.add("ann", RoleAnalyst), w.add("bob", RoleAnalyst)
	r := w.do("GET", "/v1/cases/"+c.ID, nil, bearerOf(ann)...)
	tag := r.Header().Get("ETag")
	if tag != etagOf(c.ID, 1) {
		t.Fatalf("ETag %q", tag)
	}
	if got := w.do("GET", "/v1/cases/"+c.ID, nil, append(bearerOf(ann), "If-None-Match", tag)...); got.Code != http.StatusNotModified {
		t.Errorf("a case that did not change: %d", got.Code)
	}
	judge := ActIn{Act: "verdict", Verdict: schemas.CaseFalseAlarm, Why: "w"}
	if got := w.do("POST", "/v1/cases/"+c.ID+"/acts", judge, bearerOf(ann)...); got.Code != http.StatusPreconditionRequired {
		t.Errorf("without If-Match: %d", got.Code)
	}
	if got := w.do("POST", "/v1/cases/"+c.ID+"/acts", judge, append(bearerOf(ann), "If-Match", `"case_other.1"`)...); got.Code != http.StatusBadRequest {
		t.Errorf("with the tag of another case: %d", got.Code)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for i := range 10 {
		wg.Go(func() {
			r := w.do("POST", "/v1/cases/"+c.ID+"/acts", judge, append(bearerOf([]string{ann, bob}[i%2]), "If-Match", tag)...)
			mu.Lock()
			defer mu.Unlock()
			if codes[r.Code]++; r.Code == http.StatusConflict && codeOf(t, r) != CodeConflict {
				t.Errorf("%s", r.Body)
			}
		})
	}
	wg.Wait()
	if codes[http.StatusOK] != 1 || codes[http.StatusConflict] != 9 {
		t.Errorf("ten acts on one version: %v", codes)
	}
	if got := w.do("POST", "/v1/cases/"+c.ID+"/acts", ActIn{Act: "note", Text: "x"}, bearerOf(ann)...); got.Code != http.StatusOK {
		t.Errorf("a note needs no version: %d %s", got.Code, got.Body)
	}
}

// The next case is nobody's, is due first, and is never given to two.
func TestNext(t *testing.T) {
	w := newWorld(t)
	tokens := []string{w.add("ann", RoleAnalyst), w.add("bob", RoleAnalyst), w.add("eve", RoleAnalyst)}
	for i := range 9 {
		w.open("acct-"+string(rune('a'+i)), func(c *schemas.Case) { c.Due = c.Due.Add(time.Duration(i) * time.Minute) })
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]string{}
	for i := range 9 {
		wg.Go(func() {
			v := into[CaseView](t, w.do("POST", "/v1/cases/next", nil, bearerOf(tokens[i%3])...))
			mu.Lock()
			defer mu.Unlock()
			if other, twice := got[v.ID]; twice || v.Owner == "" {
				t.Errorf("%s is %s's and was given to %s", v.ID, v.Owner, other)
			}
			got[v.ID] = v.Owner
		})
	}
	wg.Wait()
	if r := w.do("POST", "/v1/cases/next", nil, bearerOf(tokens[0])...); r.Code != http.StatusNotFound {
		t.Errorf("a tenth of nine: %d", r.Code)
	}
}

// A dry run tells what an act would do, and does nothing.
func TestDryRun(t *testing.T) {
	w := newWorld(t)
	w.open("acct-1", func(c *schemas.Case) { c.Protected = true })
	token := w.add("ann", RoleAnalyst)
	out := into[ActOut](t, w.do("POST", "/v1/entities/account:acct-1/acts", ActIn{Act: "suspend", Why: "w", DryRun: true}, bearerOf(token)...))
	if out.Done || !out.DryRun || out.Inverse != "release" || !out.TwoPeople || !strings.Contains(out.Does, "account:acct-1") || w.asks() != 0 {
		t.Errorf("%+v, and the lane was asked %d times", out, w.asks())
	}
	if got := w.do("POST", "/v1/entities/account:acct-1/acts", ActIn{Act: "release", Why: "w", DryRun: true}, bearerOf(token)...); got.Code != http.StatusUnprocessableEntity {
		t.Errorf("a release of what is active: %d", got.Code)
	}
}

// An act on a protected account is taken, and waits.
func TestAwaits(t *testing.T) {
	w := newWorld(t)
	w.open("acct-1", func(c *schemas.Case) { c.Protected = true })
	token := w.add("ann", RoleAnalyst)
	r := w.do("POST", "/v1/entities/account:acct-1/acts", ActIn{Act: "release", Why: "w"}, bearerOf(token)...)
	if out := into[ActOut](t, r); r.Code != http.StatusAccepted || out.Done || !out.Awaits {
		t.Errorf("%d %+v", r.Code, out)
	}
}

// A mistyped name is not suspended; a known one is.
func TestSuspendOfNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits five seconds for what has just come in")
	}
	w := newWorld(t)
	token := w.add("ann", RoleAnalyst)
	if got := w.do("POST", "/v1/entities/account:nobody/acts", ActIn{Act: "suspend", Why: "w"}, bearerOf(token)...); got.Code != http.StatusNotFound || w.asks() != 0 {
		t.Errorf("somebody of whom nothing is known: %d", got.Code)
	}
	if got := w.do("POST", "/v1/entities/account:nobody/acts", ActIn{Act: "suspend", Why: "w", Force: true}, bearerOf(token)...); got.Code != http.StatusOK {
		t.Errorf("by force: %d", got.Code)
	}
}

// An act on many entities shows whom it reaches, waits for a second person who is another
// one with the right to it, and is carried out once for each, also over a restart.
func TestBulk(t *testing.T) {
	w := newWorld(t)
	ann, bob, lea, adm := w.add("ann", RoleAnalyst), w.add("bob", RoleAnalyst), w.add("lea", RoleLead), w.add("adm", RoleAdmin)
	w.open("acct-1", func(c *schemas.Case) { c.Usual = 100 })
	w.open("acct-2", func(c *schemas.Case) { c.Usual, c.Protected = 50, true })
	in := map[string]any{"act": "suspend", "why": "a leaked list", "entities": []string{"account:acct-1", "acct-2", "acct-1", "ip:192.0.2.1"}, "dry_run": true}
	v := into[BulkView](t, w.do("POST", "/v1/bulk", in, bearerOf(ann)...))
	if v.State != BulkPreview || v.Fine != 2 || v.Refused != 1 || v.Protected != 1 || v.Usual != 150 || !v.TwoPeople || len(v.Reached) != 3 {
		t.Fatalf("preview: %+v", v)
	}
	in["dry_run"] = false
	r := w.do("POST", "/v1/bulk", in, append(bearerOf(lea), "Idempotency-Key", "b")...)
	v = into[BulkView](t, r)
	if r.Code != http.StatusAccepted || v.State != BulkWaiting || w.asks() != 0 {
		t.Fatalf("asked for: %d %+v", r.Code, v)
	}
	if again := into[BulkView](t, w.do("POST", "/v1/bulk", in, append(bearerOf(lea), "Idempotency-Key", "b")...)); again.ID != v.ID {
		t.Error("the same request twice made two")
	}
	for who, x := range map[string]string{"bob": bob, "lea": lea} {
		if got := w.do("POST", "/v1/bulk/"+v.ID+"/approve", why{"looks right"}, bearerOf(x)...); got.Code != http.StatusForbidden {
			t.Errorf("approved by %s: %d", who, got.Code)
		}
	}
	if w.asks() != 0 {
		t.Fatal("it was carried out before it was approved")
	}
	if got := w.do("POST", "/v1/bulk/"+v.ID+"/approve", why{"looks right"}, bearerOf(adm)...); got.Code != http.StatusAccepted {
		t.Fatalf("approved: %d %s", got.Code, got.Body)
	}
	done := func() bool {
		v = into[BulkView](t, w.do("GET", "/v1/bulk/"+v.ID, nil, bearerOf(ann)...))
		return v.State == BulkDone
	}
	for deadline := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("it is not finished: %+v", v)
		}
		time.Sleep(time.Millisecond)
	}
	if v.DoneCount != 2 || w.asks() != 2 || v.Second != "adm" {
		t.Errorf("done: %+v, the lane was asked %d times", v, w.asks())
	}
	w.mu.Lock()
	for _, q := range w.asked {
		if q.Actor != "lea" || q.Second != "adm" {
			t.Errorf("the lane was asked by %s, approved by %s", q.Actor, q.Second)
		}
	}
	w.mu.Unlock()
	if got := w.do("POST", "/v1/bulk/"+v.ID+"/approve", why{"again"}, bearerOf(adm)...); got.Code != http.StatusConflict {
		t.Errorf("approved twice: %d", got.Code)
	}
	// What was running when the process died goes on in the next, and does nothing twice.
	b, _ := get(w.service.people, w.service.people.bulks, v.ID)
	b.State, b.Rev = BulkRunning, b.Rev+1
	for i := range b.Reached {
		b.Reached[i].Done = false
	}
	w.service.people.write.Lock()
	if err := w.service.people.put(t.Context(), keyBulk+b.ID, &b); err != nil {
		t.Fatal(err)
	}
	w.service.people.write.Unlock()
	w.start()
	for deadline := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("it does not go on: %+v", v)
		}
		time.Sleep(time.Millisecond)
	}
	if v.DoneCount != 2 || w.asks() != 2 {
		t.Errorf("after a restart: %d done, the lane was asked %d times", v.DoneCount, w.asks())
	}
	// Light acts wait for nobody; late ones are too late.
	light := into[BulkView](t, w.do("POST", "/v1/bulk", map[string]any{"act": "note", "text": "x", "why": "w", "entities": []string{"acct-1", "acct-2"}}, bearerOf(ann)...))
	if light.State != BulkRunning {
		t.Errorf("notes: %s", light.State)
	}
	late := into[BulkView](t, w.do("POST", "/v1/bulk", map[string]any{"act": "release", "why": "w", "entities": []string{"acct-1", "acct-2"}}, bearerOf(ann)...))
	w.pass(25 * time.Hour)
	if got := w.do("POST", "/v1/bulk/"+late.ID+"/approve", why{"late"}, bearerOf(adm)...); got.Code != http.StatusConflict {
		t.Errorf("approved a day late: %d", got.Code)
	}
}

// Live precision is what people confirmed of what they judged.
func TestPolicies(t *testing.T) {
	w := newWorld(t)
	token := w.add("ann", RoleViewer)
	for i, v := range []schemas.CaseVerdict{schemas.CaseCompromised, schemas.CaseCompromised, schemas.CaseCompromised, schemas.CaseFalseAlarm, schemas.CaseExpected, ""} {
		w.open("acct-"+string(rune('a'+i)), func(c *schemas.Case) { c.Verdict = v })
	}
	p := into[Page[Policy]](t, w.do("GET", "/v1/policies", nil, bearerOf(token)...)).Items[0]
	if p.Precision == nil || *p.Precision != 0.75 || p.Confirmed != 3 || p.FalseAlarm != 1 || p.Expected != 1 || p.Decisions != 9 {
		t.Errorf("%+v", p)
	}
}

// Snoozes say what they have hidden.
func TestExpected(t *testing.T) {
	w := newWorld(t)
	token := w.add("ann", RoleAnalyst)
	e := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}
	if err := w.service.book.operator(Record{Value: []byte(asText(schemas.Operator{ID: "o1", Time: w.now(), Act: "snooze", Entity: e, Until: w.now().Add(time.Hour), Actor: "ann", Why: "a launch"}))}); err != nil {
		t.Fatal(err)
	}
	got := into[Expected](t, w.do("GET", "/v1/expected", nil, bearerOf(token)...))
	if len(got.Snoozes) != 1 || got.Snoozes[0].Hidden == nil || *got.Snoozes[0].Hidden != 7 || got.Snoozes[0].Why != "a launch" {
		t.Errorf("%+v", got)
	}
	w.pass(2 * time.Hour)
	if got := into[Expected](t, w.do("GET", "/v1/expected", nil, bearerOf(token)...)); len(got.Snoozes) != 0 {
		t.Errorf("after its end: %+v", got)
	}
}
