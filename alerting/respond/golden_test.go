package respond_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/respond"
	"holdfast/schemas"
	"holdfast/schemas/goldentest"
)

var (
	writeGolden  = flag.Bool("write-golden", false, "write the golden file of the present sections, where there is none yet")
	updateGolden = flag.Bool("update-outputs", false, "write which outputs golden states give now")
)

var newest = goldentest.Value{Key: schemas.ControlLevel, Value: fmt.Appendf(nil, `{"level":%d}`, schemas.LevelNewest)}

// Whoever changes what is written leaves a golden file of it.
func TestPresentLayoutHasAGoldenFile(t *testing.T) {
	files := goldentest.Files(t)
	for _, name := range files {
		if goldentest.Read(t, name).Layout == respond.Layout() {
			return
		}
	}
	if !*writeGolden {
		t.Fatalf("no golden file holds the sections %q: go test ./alerting/respond -run Golden -write-golden, and commit what it writes", respond.Layout())
	}
	g, outputs := makeGolden(t, respond.Layout(), newest)
	goldentest.Write(t, fmt.Sprintf("testdata/golden/sections-%d.json.gz", len(files)), g, outputs)
}

// Every layout that was ever landed is read, and means the same.
func TestGoldenStatesMeanTheSame(t *testing.T) {
	for _, name := range goldentest.Files(t) {
		t.Run(name, func(t *testing.T) {
			g := goldentest.Read(t, name)
			for _, more := range [][]goldentest.Value{nil, {newest}} {
				f, again, moved := respond.New(respond.DefaultConfig()), respond.New(respond.DefaultConfig()), *g
				g.Restore(t, f, more...)
				moved.State = nil
				for key, value := range g.Save(t, f) {
					moved.State = append(moved.State, goldentest.Value{Key: key, Value: value})
				}
				moved.Restore(t, again, more...)
				got := g.Play(t, f)
				if *updateGolden {
					goldentest.WriteOutputs(t, name, got)
				}
				goldentest.Compare(t, name, got, goldentest.Outputs(t, name))
				goldentest.Compare(t, name+" restored twice", g.Play(t, again), got)
			}
		})
	}
}

// Below the level of sections the layout of the first release is written, to the byte.
func TestFirstReleaseLayoutIsStillWritten(t *testing.T) {
	g := goldentest.Read(t, "testdata/golden/layout-2.json.gz")
	f := respond.New(respond.DefaultConfig())
	g.Restore(t, f)
	for round := range 2 {
		got := g.Save(t, f)
		for _, v := range g.State {
			if _, _, onTrial := schemas.CutTrialKey(v.Key, 0); !onTrial && !bytes.Equal(got[v.Key], v.Value) {
				t.Errorf("round %d: %s: %q differs from %q", round, v.Key, got[v.Key], v.Value)
			}
		}
		// A request that is refused leaves the state as it was, but decoded and written anew.
		in := schemas.Input{Topic: schemas.TopicInbox, Offset: 1000, Kind: schemas.KindSignal, Key: "account:alice", Value: []byte(`{}`)}
		if _, err := f.Apply(&in, func(schemas.Output) {}); err == nil {
			t.Fatal("a signal without anything in it is taken")
		}
	}
}

// What another version wrote is kept, whatever happens to the entity in between:
// sections, and members of those that are known.
func TestWhatIsUnknownIsKept(t *testing.T) {
	g := goldentest.Read(t, "testdata/golden/layout-2.json.gz")
	f := respond.New(respond.DefaultConfig())
	g.Restore(t, f, newest)
	g.Play(t, f) // everything is written in sections now
	for key, value := range g.Save(t, f) {
		if _, _, onTrial := schemas.CutTrialKey(key, 0); onTrial {
			continue
		}
		frame, err := schemas.ParseStateFrame(value)
		if err != nil || frame.Version != schemas.FrameSections {
			t.Fatalf("%s: version %d, %v", key, frame.Version, err)
		}
		var payload []byte
		n := 0
		for rest, last := frame.Payload, uint64(0); len(rest) > 0; n++ {
			x, more, err := schemas.CutSection(rest, last)
			if err != nil {
				t.Fatal(err)
			}
			body := append(x.Body[:len(x.Body)-1:len(x.Body)-1], `,"of_the_future":[1,2]}`...)
			payload = schemas.AppendSection(payload, x.Tag, x.Version, body)
			rest, last = more, x.Tag
		}
		frame.Payload = schemas.AppendSection(payload, 77, 3, []byte("more of the future"))
		if err := f.Restore(key, schemas.AppendStateFrame(nil, frame)); err != nil {
			t.Fatal(err)
		}
		e, err := schemas.ParseEntity(key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := json.Marshal(sig("later-"+key, e, schemas.FamilyIdentity, low, noon.Add(26*time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		in := schemas.Input{Topic: schemas.TopicInbox, Offset: 1000, Arrival: noon.UnixMilli(), Kind: schemas.KindSignal, Key: key, Value: s}
		if touched, err := f.Apply(&in, func(schemas.Output) {}); !touched || err != nil {
			t.Fatalf("%s: a signal changed nothing: %v", key, err)
		}
		var after []byte
		if err := f.Save(key, func(k string, v []byte) {
			if k == key {
				after = v
			}
		}); err != nil {
			t.Fatal(err)
		}
		if bytes.Count(after, []byte(`"of_the_future":[1,2]`)) != n || !bytes.Contains(after, []byte("more of the future")) {
			t.Errorf("%s: of %d sections: %q", key, n, after)
		}
	}
}

// A newer version of a section is refused when it is restored, not when it is needed.
func TestNewerSectionIsRefused(t *testing.T) {
	value := schemas.AppendStateFrame(nil, schemas.StateFrame{Version: schemas.FrameSections, Payload: schemas.AppendSection(nil, 1, 1, []byte("?"))})
	if err := respond.New(respond.DefaultConfig()).Restore("account:alice", value); !errors.Is(err, schemas.ErrStateNewer) {
		t.Errorf("it gives %v", err)
	}
}
