package sshd

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at are the times of events as they come.
func at(t *testing.T, opts Options, stamps ...string) (out []string) {
	t.Helper()
	lines := make([]string, len(stamps))
	for i, s := range stamps {
		lines[i] = s + " host sshd[7]: Failed password for u from 192.0.2.1 port 5 ssh2"
	}
	events, _ := read(t, opts, lines...)
	for _, e := range events {
		out = append(out, time.UnixMilli(e.Time).UTC().Format("2006-01-02 15:04:05"))
	}
	return out
}

// A machine that started without a clock, and found it again.
func TestClockThatWasNotSet(t *testing.T) {
	opts := Options{Year: 2024}
	for _, c := range []struct {
		name   string
		opts   Options
		stamps []string
		want   []string
	}{
		{"at the epoch", opts, []string{"Nov 20 10:00:00", "Jan  1 00:00:12", "Jan  1 00:00:15", "Nov 20 10:05:00"}, []string{"2024-11-20 10:00:00", "2024-11-20 10:00:00", "2024-11-20 10:00:00", "2024-11-20 10:05:00"}},
		{"twice", opts, []string{"Nov 20 10:00:00", "Jan  1 00:00:12", "Nov 20 10:05:00", "Jan  1 00:00:11", "Nov 20 11:00:00"}, []string{"2024-11-20 10:00:00", "2024-11-20 10:00:00", "2024-11-20 10:05:00", "2024-11-20 10:05:00", "2024-11-20 11:00:00"}},
		{"a week away", opts, []string{"Nov 20 10:00:00", "Jan  1 00:00:12", "Nov 27 10:05:00"}, []string{"2024-11-20 10:00:00", "2024-11-20 10:00:00", "2024-11-27 10:05:00"}},
		{"west of Greenwich", opts, []string{"Nov 20 10:00:00", "Dec 31 19:00:12", "Nov 20 10:05:00"}, []string{"2024-11-20 10:00:00", "2024-11-20 10:00:00", "2024-11-20 10:05:00"}},
		{"when its software was made", opts, []string{"Mar 20 10:00:00", "Aug 12 00:00:12", "Mar 20 10:05:00"}, []string{"2024-03-20 10:00:00", "2024-03-20 10:00:00", "2024-03-20 10:05:00"}},
		{"with a year", opts, []string{"2024-11-20T10:00:00Z", "1970-01-01T00:00:12Z", "2024-11-20T10:05:00Z"}, []string{"2024-11-20 10:00:00", "2024-11-20 10:00:00", "2024-11-20 10:05:00"}},
		{"at the log's end, now", Options{Reference: time.Date(2024, 11, 20, 11, 0, 0, 0, time.UTC)}, []string{"Nov 20 10:00:00", "Jan  1 00:00:12"}, []string{"2024-11-20 10:00:00", "2024-11-20 10:00:00"}},
		{"no, a new year after a silence", opts, []string{"Nov 20 10:00:00", "Jan  1 00:00:12", "Jan  4 10:00:00", "Nov 20 10:05:00"}, []string{"2024-11-20 10:00:00", "2025-01-01 00:00:12", "2025-01-04 10:00:00", "2025-11-20 10:05:00"}},
		{"no, a new year", opts, []string{"Dec 31 23:59:59", "Jan  1 00:00:12", "Jan  1 10:00:00"}, []string{"2024-12-31 23:59:59", "2025-01-01 00:00:12", "2025-01-01 10:00:00"}},
		{"no, a log with few lines", opts, []string{"Mar  1 10:00:00", "Jun  1 10:00:00", "Apr  1 10:00:00"}, []string{"2024-03-01 10:00:00", "2024-06-01 10:00:00", "2025-04-01 10:00:00"}},
		{"the rotated log before", Options{Year: 2025, After: time.Date(2025, 12, 29, 10, 0, 0, 0, time.UTC)}, []string{"Jan  2 10:00:00"}, []string{"2026-01-02 10:00:00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, at(t, c.opts, c.stamps...)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Lines in doubt are bounded, and come in their order.
func TestDoubtIsBounded(t *testing.T) {
	n := 0
	r := New(Options{Year: 2024}, func([]byte) { n++ })
	_, _ = r.Line(1, []byte("Mar 20 10:00:00 host sshd[7]: Failed password for u from 192.0.2.1 port 5 ssh2"))
	for i := range 3 * maxHeld {
		_, _ = r.Line(int64(i+2), []byte("Aug 12 00:00:12 host sshd[7]: Failed password for u from 192.0.2.1 port 5 ssh2"))
		if len(r.held) > maxHeld {
			t.Fatalf("%d lines are held", len(r.held))
		}
	}
	if r.End(); n != 3*maxHeld+1 {
		t.Errorf("%d events", n)
	}
}

// Clocks are put forward and back.
func TestSummerTime(t *testing.T) {
	berlin, err := ParseZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Year: 2026, Location: berlin}
	want := []string{"2026-10-25 00:10:00", "2026-10-25 00:50:00", "2026-10-25 01:10:00", "2026-10-25 01:50:00", "2026-10-25 02:10:00"}
	if diff := cmp.Diff(want, at(t, opts, "Oct 25 02:10:00", "Oct 25 02:50:00", "Oct 25 02:10:00", "Oct 25 02:50:00", "Oct 25 03:10:00")); diff != "" {
		t.Errorf("put back (-want +got):\n%s", diff)
	}
	// 02:30 is never shown; by the offset before it is 01:30 UTC.
	want = []string{"2026-03-29 00:50:00", "2026-03-29 01:30:00", "2026-03-29 01:40:00"}
	if diff := cmp.Diff(want, at(t, opts, "Mar 29 01:50:00", "Mar 29 02:30:00", "Mar 29 03:40:00")); diff != "" {
		t.Errorf("put forward (-want +got):\n%s", diff)
	}
}

func TestParseZone(t *testing.T) {
	when := time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{
		"Europe/Berlin": "11:00", "America/Los_Angeles": "02:00", "UTC": "10:00", "+01:00": "11:00", "+0530": "15:30", "-08": "02:00", "EST": "05:00",
	} {
		loc, err := ParseZone(name)
		if err != nil || when.In(loc).Format("15:04") != want {
			t.Errorf("%s: %v, %v", name, loc, err)
		}
	}
	for _, name := range []string{"", "Local", "Europe/Atlantis", "+25:00", "+1", "../etc/passwd", "berlin time"} {
		if loc, err := ParseZone(name); err == nil {
			t.Errorf("%q is %v", name, loc)
		}
	}
}
