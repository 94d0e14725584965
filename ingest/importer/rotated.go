package importer

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// rotated puts the files of each log that was rotated in the order in which they were
// written, auth.log.2.gz before auth.log.1 before auth.log, where the first of them
// stands. Other files keep their order.
func rotated(files []string) []string {
	of := map[string][]string{}
	for _, name := range files {
		of[base(name)] = append(of[base(name)], name)
	}
	out := make([]string, 0, len(files))
	for _, name := range files {
		group := of[base(name)]
		delete(of, base(name))
		slices.SortStableFunc(group, older)
		out = append(out, group...)
	}
	return out
}

// older compares two files of one log: the higher number is older, the later date is
// newer, and the one without either is the newest.
func older(a, b string) int {
	na, da := rotation(a)
	nb, db := rotation(b)
	switch {
	case da != "" && db != "":
		return strings.Compare(da, db)
	case (da == "") != (db == ""):
		return strings.Compare(db, da) // the one with a date first
	}
	return nb - na
}

// base is a log's name without what rotation and compression add.
func base(name string) string {
	_, file := filepath.Split(name)
	n, date := rotation(name)
	if n == 0 && date == "" {
		return name
	}
	stem := stem(file)
	return name[:len(name)-len(file)] + stem[:strings.LastIndexAny(stem, ".-_")]
}

// rotation reads the number of auth.log.1, or the date of auth.log-20261103.
func rotation(name string) (n int, date string) {
	_, file := filepath.Split(name)
	s := stem(file)
	at := strings.LastIndexAny(s, ".-_")
	if at <= 0 || !strings.ContainsFunc(s[:at], unicode.IsLetter) { // 192.0.2.1 is a host's
		return 0, ""
	}
	suffix := s[at+1:]
	for _, c := range []byte(suffix) {
		if c < '0' || c > '9' {
			return 0, ""
		}
		n = n*10 + int(c-'0')
		if len(suffix) > 10 {
			return 0, ""
		}
	}
	if len(suffix) >= 8 {
		return 0, suffix
	}
	if s[at] != '.' || len(suffix) > 4 {
		return 0, ""
	}
	return n, ""
}

// stem drops what a compressing program adds.
func stem(file string) string {
	for _, suffix := range []string{".gz", ".xz", ".zst", ".bz2"} {
		if s, ok := strings.CutSuffix(file, suffix); ok {
			return s
		}
	}
	return file
}
