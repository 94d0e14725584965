package main

import (
	"fmt"
	"strings"
)

// counted says that a replay took so many events, refused so many, and ended well.
func counted(events, refused int) func(found) error {
	return func(f found) error {
		if want := fmt.Sprintf("%d events, %d refused", events, refused); !strings.Contains(f.err, want) {
			return fmt.Errorf("want %s: %s", want, f.said())
		}
		return nil
	}
}

func recordCases() []oneCase {
	return []oneCase{
		replayCase("record-01", "record-01-bom.ndjson", "2 events", counted(2, 0), with("\ufeff", ""), counted(2, 0)),
		replayCase("record-02", "record-02-null.ndjson", "3 events", counted(3, 0),
			strings.NewReplacer(`, "reason": null`, "", `, "user_agent": null, "session": null`, "", `"ip": null, `, "").Replace, counted(3, 0)),
		replayCase("record-04", "record-04-lower-case-time.ndjson", "1 event", counted(1, 0), with("2026-11-03t10:00:00z", "2026-11-03T10:00:00Z"), counted(1, 0)),
		replayCase("record-06", "record-06-comma.ndjson", "refused, as the schema has it", counted(0, 1), with("00,123Z", "00.123Z"), counted(1, 0)),
		{name: "record-08", says: "1 event", right: events("record-08-zeros.ndjson.gz"), control: func(h *harness) error {
			f, err := h.replayed("record-08-zeros.ndjson.gz", func(s string) string { return s })
			if err == nil {
				err = counted(1, 0)(f)
			}
			return err
		}},
		{name: "record-09", says: "1 event of xz, and so of zstd and bzip2", right: func(h *harness) error {
			for _, name := range []string{"record-09.ndjson.xz", "record-09.ndjson.zst", "record-09.ndjson.bz2"} {
				if err := events(name)(h); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		}},
		{name: "series-01", says: "1 row", right: rows(nil), control: rows(func(s string) string { return strings.TrimLeft(s, "\n") })},
	}
}

// events says that one event comes of a file.
func events(name string) func(h *harness) error {
	return func(h *harness) error {
		f, err := h.replayed(name, nil)
		if err == nil && f.status != 0 {
			err = fmt.Errorf("exit status %d: %s", f.status, f.said())
		}
		if err == nil {
			err = counted(1, 0)(f)
		}
		return err
	}
}

func rows(change func(string) string) func(h *harness) error {
	return func(h *harness) error {
		path, err := h.input("series-01-blank-line-first.csv", change)
		if err != nil {
			return err
		}
		r, err := h.command(nil, "series", path)
		if want := "timestamp,value,anomaly_score\n2026-11-03 10:00:00,5,0\n"; err == nil && (r.out != want || r.status != 0) {
			err = fmt.Errorf("want %q, have exit status %d: %s", want, r.status, r.said())
		}
		return err
	}
}
