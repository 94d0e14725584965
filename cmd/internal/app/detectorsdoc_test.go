package app

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"holdfast/detectors"
)

var updateDoc = flag.Bool("update", false, "write generated parts of deploy/docs anew")

// The tables of deploy/docs/detectors.md are what the detectors declare.
func TestDetectorsDoc(t *testing.T) {
	const name, begin, end = "../../../deploy/docs/detectors.md", "<!-- numbers: written by the test of this page -->\n", "<!-- end of numbers -->\n"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(page), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost the marks around its tables", name)
	}
	want := head + begin + tables() + end + tail
	if *updateDoc {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Errorf("%s does not say what the detectors declare: run go test ./cmd/internal/app -run TestDetectorsDoc -update", name)
	}
}

func tables() string {
	var b strings.Builder
	for _, s := range detectors.Specs() {
		fmt.Fprintf(&b, "\n### %s\nfamily %s, entity %s, ATT&CK %s, version %d\n\n| parameter | unit | default | allowed | why |\n|---|---|---|---|---|\n", s.Name, s.Family, s.Entity, s.Technique, s.Version)
		for _, p := range s.Parameters {
			g := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s to %s | %s |\n", p.Name, p.Unit, g(p.Default), g(p.Min), g(p.Max), p.Source)
		}
	}
	return b.String() + "\n"
}
