package gate_test

import (
	"bytes"
	"flag"
	"fmt"
	"testing"

	"holdfast/alerting/gate"
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
		if goldentest.Read(t, name).Layout == gate.Layout() {
			return
		}
	}
	if !*writeGolden {
		t.Fatalf("no golden file holds the sections %q: go test ./alerting/gate -run Golden -write-golden, and commit what it writes", gate.Layout())
	}
	g, outputs := makeGolden(t, gate.Layout(), newest)
	goldentest.Write(t, fmt.Sprintf("testdata/golden/sections-%d.json.gz", len(files)), g, outputs)
}

// Every layout that was ever landed is read, and means the same.
func TestGoldenStatesMeanTheSame(t *testing.T) {
	for _, name := range goldentest.Files(t) {
		t.Run(name, func(t *testing.T) {
			g := goldentest.Read(t, name)
			for _, more := range [][]goldentest.Value{nil, {newest}} {
				f, again, moved := gate.New(gate.Config{}), gate.New(gate.Config{}), *g
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
	g := goldentest.Read(t, "testdata/golden/layout-1.json.gz")
	f := gate.New(gate.Config{})
	g.Restore(t, f)
	if got := g.Save(t, f); !bytes.Equal(got[gate.Key], g.State[0].Value) {
		t.Errorf("%d bytes differ from the %d that were read", len(got[gate.Key]), len(g.State[0].Value))
	}
}

// What another version wrote is kept: sections, and members of those that are known.
func TestWhatIsUnknownIsKept(t *testing.T) {
	g := goldentest.Read(t, "testdata/golden/layout-1.json.gz")
	f := gate.New(gate.Config{})
	g.Restore(t, f, newest)
	frame, err := schemas.ParseStateFrame(g.Save(t, f)[gate.Key])
	if err != nil || frame.Version != schemas.FrameSections {
		t.Fatalf("version %d, %v", frame.Version, err)
	}
	var payload []byte
	for rest, last := frame.Payload, uint64(0); len(rest) > 0; {
		x, more, err := schemas.CutSection(rest, last)
		if err != nil {
			t.Fatal(err)
		}
		body := x.Body
		if body[0] == '{' {
			body = append(body[:len(body)-1:len(body)-1], `,"of_the_future":[1,2]}`...)
		}
		payload = schemas.AppendSection(payload, x.Tag, x.Version, body)
		rest, last = more, x.Tag
	}
	frame.Payload = schemas.AppendSection(payload, 77, 3, []byte("more of the future"))
	value := schemas.AppendStateFrame(nil, frame)
	if err := f.Restore(gate.Key, value); err != nil {
		t.Fatal(err)
	}
	if got := g.Save(t, f)[gate.Key]; !bytes.Equal(got, value) {
		t.Errorf("saved again:\n%q\nwant\n%q", got, value)
	}
}
