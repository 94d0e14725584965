// Command cases runs small inputs on which Holdfast once gave a wrong value, each with a
// control that was right all along: the same input with one thing changed. It prints a
// line for each and how many passed, and exits with 1 where one failed.
//
// It works as a user does, with the binary: replay, series, import into an instance that
// runs on the embedded engines in a folder of its own, and what that instance does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// oneCase is an input, and what must come of it. right looks at the case itself, control
// at the same with one thing changed.
type oneCase struct {
	name    string
	says    string // what the right value is
	right   func(h *harness) error
	control func(h *harness) error
}

func main() {
	binary := flag.String("binary", "bin/holdfast", "the binary to try")
	dir := flag.String("cases", "../shared/cases", "folder of the inputs; those that are not there are taken from testdata")
	only := flag.String("run", "", "run the cases whose name matches this expression")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	passed, failed, err := run(ctx, *binary, *dir, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, dir, only string) (passed, failed int, err error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return 0, 0, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return 0, 0, err
	}
	if _, err := os.Stat(binary); err != nil {
		return 0, 0, fmt.Errorf("%w: build it, make build", err)
	}
	h, err := newHarness(ctx, binary, dir)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	for _, c := range all() {
		if !wanted.MatchString(c.name) || ctx.Err() != nil {
			continue
		}
		began := time.Now()
		err := c.right(h)
		if err == nil && c.control != nil {
			if err = c.control(h); err != nil {
				err = fmt.Errorf("control: %w", err)
			}
		}
		if err != nil {
			failed++
			fmt.Printf("FAIL  %-9s %s\n      %v\n", c.name, c.says, err)
			continue
		}
		passed++
		fmt.Printf("ok    %-9s %s (%s)\n", c.name, c.says, time.Since(began).Round(time.Millisecond))
	}
	return passed, failed, ctx.Err()
}

// all are the cases, in the order in which they are listed.
func all() []oneCase {
	var out []oneCase
	out = append(out, sshdCases()...)
	out = append(out, loginCases()...)
	out = append(out, mailCases()...)
	out = append(out, recordCases()...)
	return append(out, liveCases()...)
}
