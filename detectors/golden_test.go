package detectors

import (
	"bytes"
	"flag"
	"fmt"
	"strings"
	"testing"

	"holdfast/schemas"
	"holdfast/schemas/goldentest"
)

var writeGolden = flag.Bool("write-golden", false, "write the golden file of the present sections, where there is none yet")

// presentLayout names the sections that are written now, with their versions.
func presentLayout() string {
	var b strings.Builder
	b.WriteString("account")
	for _, s := range accountSections {
		fmt.Fprintf(&b, " %d.%d", s.tag, s.version)
	}
	b.WriteString("; ip")
	for _, s := range addressSections {
		fmt.Fprintf(&b, " %d.%d", s.tag, s.version)
	}
	b.WriteString("; employee")
	for _, s := range employeeSections {
		fmt.Fprintf(&b, " %d.%d", s.tag, s.version)
	}
	return b.String()
}

var goldenConfig = Config{Lanes: 1, HashSecret: []byte("a secret of the tests' own, yes.")}

var newest = goldentest.Value{Key: schemas.ControlLevel, Value: fmt.Appendf(nil, `{"level":%d}`, schemas.LevelNewest)}

// Whoever changes what is written leaves a golden file of it, so that every later version
// is held to reading it.
func TestPresentLayoutHasAGoldenFile(t *testing.T) {
	files := goldentest.Files(t)
	for _, name := range files {
		if goldentest.Read(t, name).Layout == presentLayout() {
			return
		}
	}
	if !*writeGolden {
		t.Fatalf("no golden file holds the sections %q: go test ./detectors -run Golden -write-golden, and commit what it writes", presentLayout())
	}
	g, outputs := makeGolden(t, presentLayout(), newest)
	goldentest.Write(t, fmt.Sprintf("testdata/golden/sections-%d.json.gz", len(files)), g, outputs)
}

// Every layout that was ever landed is read, and means the same: what comes after it
// gives the signals, facts and notes that a lane gives that was never restored.
func TestGoldenStatesMeanTheSame(t *testing.T) {
	for _, name := range goldentest.Files(t) {
		t.Run(name, func(t *testing.T) {
			g := goldentest.Read(t, name)
			for _, more := range [][]goldentest.Value{nil, {newest}} {
				f := NewFold(goldenConfig)
				g.Restore(t, f, more...)
				if s := f.TrialStats(); s.Failed != 0 || s.Entities == 0 {
					t.Errorf("trials: %+v", s)
				}
				// Through the present layout, as after a move.
				again, moved := NewFold(goldenConfig), *g
				moved.State = nil
				for key, value := range g.Save(t, f) {
					moved.State = append(moved.State, goldentest.Value{Key: key, Value: value})
				}
				moved.Restore(t, again, more...)
				got := g.Play(t, f)
				if *update {
					goldentest.WriteOutputs(t, name, got)
				}
				goldentest.Compare(t, name, got, goldentest.Outputs(t, name))
				goldentest.Compare(t, name+" restored twice", g.Play(t, again), got)
			}
		})
	}
}

// The golden file of the first release is what is written below the level of sections,
// to the byte: processes of that release read nothing else.
func TestFirstReleaseLayoutIsStillWritten(t *testing.T) {
	g := goldentest.Read(t, "testdata/golden/layout-7.json.gz")
	f := NewFold(goldenConfig)
	g.Restore(t, f)
	got := g.Save(t, f)
	for _, v := range g.State {
		if _, _, onTrial := schemas.CutTrialKey(v.Key, 1); onTrial {
			continue // saved with the live state
		}
		if !bytes.Equal(got[v.Key], v.Value) {
			t.Errorf("%s: %d bytes differ from the %d that were read", v.Key, len(got[v.Key]), len(v.Value))
		}
	}
}
