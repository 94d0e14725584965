package schemas

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// sampleLines are lines as a platform writes them, one of each type.
var sampleLines = map[EventType]string{
	TypeSend:       `{"id":"e00400000","time":"2026-03-23T14:38:52.166Z","type":"send","account":"acct-00543","credential":"key-543-1","channel":"api","ip":"20.50.48.188","sender":"hello@shop543.example","recipients":["u7905205@gmail.example"],"message_id":"m0a4fb28dcde194b@shop543.example","size":48237}`,
	TypeDelivery:   `{"id":"e00400031","time":"2026-03-23T14:40:02.001Z","type":"delivery","account":"acct-00543","message_id":"m0a4fb28dcde194b@shop543.example","recipient":"u7905205@gmail.example","outcome":"hard_bounce","reason":"550 5.1.1 no such user"}`,
	TypeLogin:      `{"id":"e00400044","time":"2026-03-23T14:41:12.900Z","type":"login","account":"acct-00047","user":"user47-0@shop47.example","ip":"2001:db8:4:1::7","outcome":"success","method":"password","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}`,
	TypeCredential: `{"id":"e00400045","time":"2026-03-23T14:41:30.010Z","type":"credential","account":"acct-00047","credential":"key-47-2","kind":"api_key","change":"created","actor":"customer","user":"user47-0@shop47.example","ip":"192.0.2.47"}`,
	TypeAccess:     `{"id":"e00400046","time":"2026-03-23T14:42:00.000Z","type":"access","employee":"emp-007","action":"view_account","account":"acct-00047","ip":"198.51.100.7","ticket":"T-4711","session":"s-9"}`,
	TypeConnection: `{"id":"e00400047","time":"2026-03-23T14:42:01.118Z","type":"connection","ip":"198.51.100.99","state":"close","protocol":"smtp","duration_ms":5210,"bytes":18230}`,
	TypeAccount:    `{"id":"e00000025","time":"2026-03-02T00:00:00.539Z","type":"account","account":"acct-00047","status":"active","plan":"flex","created":"2023-10-03T00:00:00.000Z","users":["user47-0@shop47.example","user47-1@shop47.example"],"domains":["shop47.example"],"contacts":[{"email":"user47-0@shop47.example","role":"owner"}]}`,
}

// agree holds the two quick readers against the thorough one: what they accept, it
// accepts too, and reads the same. habit says that what d has learnt was enough.
func agree(t *testing.T, d *Decoder, data []byte) (plain, habit bool) {
	t.Helper()
	var a, b, want Event
	habit = d.known.decode(data, &a)
	if plain = d.quick.decode(data, &b); plain {
		d.known.learn(data, &d.quick, specs[b.Type])
	}
	if !plain && !habit {
		return false, false
	}
	var other Decoder
	if err := other.thorough(data, &want); err != nil {
		t.Fatalf("%q: accepted by habit %t, as plain %t, and the thorough reader refuses it: %v", data, habit, plain, err)
	}
	if habit && !same(&a, &want) {
		t.Fatalf("%q: by habit\n%+v, thorough\n%+v", data, a, want)
	}
	if plain && !same(&b, &want) {
		t.Fatalf("%q: quick\n%+v, thorough\n%+v", data, b, want)
	}
	return plain, habit
}

// FuzzQuickAgrees changes plain records, as a sender might get one wrong.
func FuzzQuickAgrees(f *testing.F) {
	for _, s := range sampleLines {
		f.Add([]byte(s))
	}
	for _, s := range oddLines {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Decoder // one that knows the samples alone, so that what fails fails again
		for _, s := range sampleLines {
			_ = d.Decode([]byte(s), new(Event))
		}
		agree(t, &d, data)
		agree(t, &d, data)
	})
}

const frame = `"id":"1","time":"2026-03-02T00:00:08Z","type":"send","account":"a","recipient_count":1`

// oddLines are right and wrong in ways that the two readers could disagree about.
var oddLines = []string{
	sampleSend,
	"{" + frame + "}",
	" {\n\t" + strings.ReplaceAll(frame, ",", " ,\r\n") + " } \n",
	"{" + frame + `,"x":1}`, "{" + frame + `,"x":-0.5e+3,"y":null,"z":true,"w":false}`,
	"{" + frame + `,"x":01}`, "{" + frame + `,"x":1.}`, "{" + frame + `,"x":-}`, "{" + frame + `,"x":1e}`, "{" + frame + `,"x":.5}`,
	"{" + frame + `,"x":{"a":[1,{"b":"]}\""}]},"y":["a","b\u00e9"],"z":[]}`,
	"{" + frame + `,"x":{"a":1,"a":2}}`, "{" + frame + `,"x":1,"x":2}`, "{" + frame + `,"x":[1,}`, "{" + frame + `,"x":["a",]}`, "{" + frame + `,"x":{]}}`,
	"{" + frame + `,"x":"\ud800"}`, "{" + frame + `,"x":"\ud83d\ude00"}`, "{" + frame + `,"x":"\q"}`, "{" + frame + `,"x":["\q"]}`,
	"{" + frame + `,"\u0078":1,"x":2}`, "{" + frame + `,"é":1}`, "{" + frame + `,"":1}`, "{" + frame + ",\"x\":\"\x7f\"}", "{" + frame + ",\"x\":\"\xff\"}",
	"{" + frame + `,"x":{"y":"` + "\xff" + `"}}`, "{" + frame + ",\"x\":\"a\tb\"}", "{" + frame + `,"x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "}",
	"{" + frame + `,"sender":"a\"b\\c","credential":"kéy","channel":"a\u0070i"}`,
	"{" + frame + ",\"credential\":\"k\x7f\"}", "{" + frame + `,"credential":""}`, "{" + frame + `,"credential":"k\u202e"}`,
	"{" + frame + `,"rows":5,"accounts":["a"],"credentials":[{"id":"k"}],"outcome":"x"}`, "{" + frame + `,"credentials":[{]}]}`,
	"{" + frame + `,"size":-0,"test":true}`, "{" + frame + `,"size":1e3}`, "{" + frame + `,"size":1125899906842624}`, "{" + frame + `,"size":1125899906842625}`,
	"{" + frame + `,"ip":"::ffff:192.0.2.1"}`, "{" + frame + `,"ip":"192.0.2.01"}`, "{" + frame + `,"ip":"fe80::1%1"}`, "{" + frame + `,"ip":""}`,
	"{" + frame + `,"recipients":["a","b"]}`, "{" + frame + `,"recipients":[""]}`, "{" + frame + `,"recipients":["a",1]}`, "{" + frame + `,"recipients":[` + strings.Repeat(`"a",`, 1000) + `"a"]}`,
	"{" + frame + `,"ip":null,"recipients":null,"sender":null,"test":null,"size":null}`, "{" + frame + `,"ip":nul}`, "{" + frame + `,"ip":"fe80::1%"}`,
	"{" + frame + "}x", "{" + frame + "},", "{" + frame, "{" + frame + ",}", "[{" + frame + "}]",
	`{"id":"1","time":"2026-02-29T00:00:08Z","type":"send","account":"a","recipient_count":1}`,
	`{"id":"1","time":"2024-02-29T00:00:08.123456789+01:00","type":"s\u0065nd","account":"a","recipient_count":1}`,
	`{"id":"1","time":"1999-12-31T23:59:59.999Z","type":"send","account":"a","recipient_count":1}`,
	`{"id":"1","time":"2026-03-02T00:00:08Z","type":"account","account":"a","credentials":[{"id":"k","kind":"api_key","created":"2026-03-02T00:00:08Z","id":"l"}]}`,
	`{"id":"1","time":"2026-03-02T00:00:08Z","type":"account","account":"a","credentials":null,"contacts":[{"email":"a@b","role":"\u0061"}],"created":"2026-03-02T00:00:08Z"}`,
}

func TestQuickAgreesOnOddLines(t *testing.T) {
	var d Decoder
	plain := 0
	for _, s := range oddLines {
		if quick, _ := agree(t, &d, []byte(s)); quick {
			plain++
		}
	}
	if plain < len(oddLines)/4 {
		t.Errorf("of %d odd lines the quick reader took %d: the test compares too little", len(oddLines), plain)
	}
}

// What a platform really writes must not need the thorough reader.
func TestPlainLinesAreReadQuickly(t *testing.T) {
	var d Decoder
	for typ, s := range sampleLines {
		if plain, _ := agree(t, &d, []byte(s)); !plain {
			t.Errorf("%s: left to the thorough reader", typ)
		}
		if _, habit := agree(t, &d, []byte(s)); !habit && typ != TypeAccount {
			t.Errorf("%s: not read by habit when it comes again", typ)
		}
	}
	f, err := os.Open("../../shared/data/platform/events.ndjson.gz")
	if err != nil {
		t.Skipf("no platform data here: %v", err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	const lot = 60_000
	habits := 0
	for n := 0; n < lot && lines.Scan(); n++ {
		plain, habit := agree(t, &d, lines.Bytes())
		if !plain {
			t.Fatalf("left to the thorough reader: %s", lines.Bytes())
		}
		if habit {
			habits++
		}
	}
	if habits < lot*98/100 {
		t.Errorf("of %d lines %d were read by habit", lot, habits)
	}
}

// reordered writes a sample's members in another order, or with other bytes between them.
func reordered(line string, by int, comma, colon string) string {
	var members []string
	for m := range strings.SplitSeq(strings.Trim(line, "{}"), `,"`) {
		name, value, _ := strings.Cut(strings.TrimPrefix(m, `"`), ":")
		members = append(members, `"`+name+colon+value)
	}
	by %= len(members)
	return "{" + strings.Join(append(members[by:], members[:by]...), comma) + "}"
}

// Whoever writes every record in another way costs little memory, and does not drive out
// the habits of those who came before.
func TestHabitsOfManySenders(t *testing.T) {
	var d Decoder
	honest := []string{sampleLines[TypeSend], sampleLines[TypeDelivery], sampleLines[TypeCredential]}
	for _, s := range honest {
		agree(t, &d, []byte(s))
	}
	random := rand.New(rand.NewPCG(1, 2))
	space := func() string { return strings.Repeat(" ", random.IntN(4)) + strings.Repeat("\t", random.IntN(4)) }
	for range 20_000 {
		s := honest[random.IntN(len(honest))]
		s = space() + reordered(s, random.IntN(8), space()+","+space(), ":"+space())
		if plain, _ := agree(t, &d, []byte(s)); !plain {
			t.Fatalf("left to the thorough reader: %s", s)
		}
	}
	if n := len(d.known.steps); n < 10*maxAfter || n > 90*maxAfter {
		t.Errorf("%d steps are remembered", n)
	}
	for at := range d.known.first {
		for slot, from := range d.known.first[at] {
			n := 0
			for ; from != 0; from = d.known.steps[from].other {
				n++
			}
			if n > maxAfter {
				t.Errorf("%d steps are remembered from member %d of type %d", n, slot, at)
			}
		}
	}
	for _, s := range honest {
		if _, habit := agree(t, &d, []byte(s)); !habit {
			t.Errorf("not read by habit any more: %s", s)
		}
		s = reordered(s, 1, "\t,", "\t:")
		agree(t, &d, []byte(s))
		if _, habit := agree(t, &d, []byte(s)); !habit {
			t.Errorf("who came later is not read by habit: %s", s)
		}
	}
}

// What each reader holds a value against, the habits do too.
func TestHabitsKeepLimits(t *testing.T) {
	const sent = `{"id":"1","time":"2026-03-02T00:00:08.000Z","type":"send","account":"a","credential":"k","channel":"api","sender":"s@x.example","recipients":["r@x.example"],"recipient_count":1,"size":7}`
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, change := range [][2]string{
		{`"id":"1"`, `"id":""`}, {`"id":"1"`, `"id":"` + long(MaxID+1) + `"`}, {`"account":"a"`, `"account":""`},
		{`"channel":"api"`, `"channel":"fax"`}, {`"sender":"s@x.example"`, `"sender":"` + long(MaxText+1) + `"`},
		{`["r@x.example"]`, `[""]`}, {`["r@x.example"]`, `["` + long(MaxAddress+1) + `"]`}, {`["r@x.example"]`, `["r@x.example",]`},
		{`["r@x.example"],"recipient_count":1`, `["` + strings.Repeat(`x","`, MaxRecipients) + `x"]`},
		{`"recipient_count":1`, fmt.Sprintf(`"recipient_count":%d`, MaxCount+1)}, {`"size":7`, fmt.Sprintf(`"size":%d`, MaxAmount+1)},
		{`["r@x.example"]`, `["r@x.example","r@x.example"]`}, {`"size":7`, `"size":07`}, {`"size":7`, `"size":7e1`}, {`"size":7`, `"size":99999999999999999999`},
		{`:08.000Z`, `:60.000Z`}, {`:08.000Z`, `:0a.000Z`}, {`T00:`, `T24:`}, {`00:08.0`, `60:08.0`}, {`:08.000Z`, `:08,000Z`}, {`:08.000Z`, `:08.000z`}, {`-03-02T`, `-02-29T`},
	} {
		var d Decoder
		for _, s := range []string{sent, strings.Replace(sent, `"recipient_count":1,`, "", 1)} {
			if plain, _ := agree(t, &d, []byte(s)); !plain {
				t.Fatalf("refused: %s", s)
			}
		}
		if _, habit := agree(t, &d, []byte(sent)); !habit {
			t.Fatal("not read by habit")
		}
		changed := strings.Replace(sent, change[0], change[1], 1)
		if _, habit := agree(t, &d, []byte(changed)); habit || changed == sent {
			t.Errorf("read by habit with %.60s", change[1])
		}
	}
}

// What was learnt of some records lets in none that puts together what none of them had.
func TestHabitsAddUpToNothingNew(t *testing.T) {
	const login, delivery = `"type":"login","account":"a","user":"u"`, `"type":"delivery","account":"a","message_id":"m"`
	const head, staff = `"id":"1","time":"2026-03-02T00:00:08.000Z",`, `"type":"login","employee":"e","user":"u"`
	const send = head + `"type":"send","account":"a"`
	for _, c := range []struct {
		learnt []string
		then   string
	}{
		{[]string{head + login + `,"outcome":"success"`, head + `"type":"login","outcome":"failure","account":"a","user":"u"`},
			head + `"type":"login","outcome":"failure","account":"a","user":"u","outcome":"success"`},
		{[]string{head + `"type":"login","user":"u","outcome":"failure","account":"a"`, head + `"type":"login","user":"u","account":"a","outcome":"success"`},
			head + `"type":"login","user":"u","outcome":"failure","account":"a","outcome":"success"`},
		{[]string{`"outcome":"success",` + head + login, `"outcome":"delivered",` + head + delivery}, `"outcome":"success",` + head + delivery},
		{[]string{send + `,"recipient_count":1`, send + `,"recipient_count":1,"rows":1`}, send + `,"recipient_count":1,"rows":2`},
		{[]string{send + `,"recipient_count":1,"size":1`, send + `,"size":1,"recipient_count":1`}, send + `,"size":1`},
		{[]string{head + login + `,"outcome":"success"`, head + staff + `,"outcome":"success"`, head + `"type":"login","account":"a","employee":"e","user":"u"` + `,"outcome":"success"`},
			head + `"type":"login","account":"a","employee":"e","user":"u","outcome":"success"`},
		{[]string{send + `,"recipient_count":1`, head + `"type":"send","recipient_count":1,"account":"a"`}, head + `"type":"send","recipient_count":1`},
	} {
		var d Decoder
		for range 3 {
			for _, s := range c.learnt {
				agree(t, &d, []byte("{"+s+"}"))
			}
		}
		if _, habit := agree(t, &d, []byte("{"+c.then+"}")); habit {
			t.Errorf("read by habit: %s", c.then)
		}
	}
}

// Every change of one byte of a plain record is judged alike by both.
func TestQuickAgreesOnChangedLines(t *testing.T) {
	var d Decoder
	for _, s := range sampleLines {
		for i := range len(s) {
			for _, c := range []byte("\"\\{}[],: 0-9a\x00\x1f\x7f\x80\xc3") {
				data := []byte(s)
				data[i] = c
				agree(t, &d, data)
			}
			agree(t, &d, []byte(s[:i]+s[i+1:]))
			agree(t, &d, []byte(s[:i]))
		}
	}
}

func TestPlainSendsAllocateNothing(t *testing.T) {
	var d Decoder
	var e Event
	for typ, s := range sampleLines {
		data := bytes.Clone([]byte(s))
		if n := testing.AllocsPerRun(100, func() { _ = d.Decode(data, &e) }); n > 0 && typ != TypeAccount {
			t.Errorf("%s: %v allocations", typ, n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, typ := range EventTypes() {
		data := []byte(sampleLines[typ])
		run := func(name string, decode func(*Decoder, *Event) bool) {
			b.Run(string(typ)+"/"+name, func(b *testing.B) {
				var d Decoder
				var e Event
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if !decode(&d, &e) {
						b.Fatal("was refused")
					}
				}
			})
		}
		run("quick", func(d *Decoder, e *Event) bool { return d.Decode(data, e) == nil })
		run("thorough", func(d *Decoder, e *Event) bool { return d.thorough(data, e) == nil })
	}
}

// A list that no field has room for leaves no room behind it: there are many decoders,
// and a sender may put what it likes into a field that is only kept.
func TestQuickListsLeaveLittle(t *testing.T) {
	long := `"` + strings.Repeat(`","`, 300_000) + `"`
	var d Decoder
	for _, line := range []string{"{" + frame + `,"x":[` + long + `]}`, strings.Replace("{"+frame+"}", `"recipient_count":1`, `"recipients":[`+long+`]`, 1)} {
		var e Event
		err := d.Decode([]byte(line), &e)
		if plain := strings.Contains(line, "recipient_count"); plain != (err == nil) {
			t.Errorf("decoded: %v", err)
		}
		if n := cap(d.quick.elems); n > 2*quickElems {
			t.Errorf("room for %d elements is kept", n)
		}
		agree(t, &d, []byte(line))
	}
}
