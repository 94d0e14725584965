package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"

	"holdfast/cmd/internal/app"
	"holdfast/detectors"
)

type policiesCmd struct {
	Print policiesPrintCmd `cmd:"" help:"Print the policies in force and every detector's numbers, with units and where the defaults come from."`
	Check policiesCheckCmd `cmd:"" help:"Check a policy file; every mistake with its line."`
}

type policiesPrintCmd struct{}

// Run prints the file and, as comments where the file does not set them, the
// detectors' numbers.
func (policiesPrintCmd) Run(c *common) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	file, set, err := app.ReadPolicies(cfg.Respond.PoliciesFile)
	if err != nil {
		return err
	}
	given := map[[2]string]bool{}
	for _, p := range set.Parameters {
		given[[2]string{p.Detector, p.Name}] = true
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "%s\n# The detectors' numbers. Take away the # of a line and of the two above it to set one;\n# they belong under the file's one parameters: section.\n# parameters:\n", file)
	for _, s := range detectors.Specs() {
		fmt.Fprintf(out, "#   %s:\n", s.Name)
		for _, p := range s.Parameters {
			note := ""
			if given[[2]string{s.Name, p.Name}] {
				note = "; set above"
			}
			fmt.Fprintf(out, "#     %s: %s  # %s, %s to %s%s; default: %s\n", p.Name, number(p.Default), p.Unit, number(p.Min), number(p.Max), note, p.Source)
		}
	}
	return out.Flush()
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

type policiesCheckCmd struct {
	File string `arg:"" optional:"" help:"The file (default: the configuration's)."`
}

// Run checks.
func (p *policiesCheckCmd) Run(c *common) error {
	name := p.File
	if name == "" {
		cfg, err := c.load()
		if err != nil {
			return err
		}
		name = cfg.Respond.PoliciesFile
	}
	_, set, err := app.ReadPolicies(name)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%d policies and %d numbers of detectors, without a mistake\n", len(set.Policies), len(set.Parameters))
	return err
}
