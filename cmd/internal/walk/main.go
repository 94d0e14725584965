// Command walk plays one leaked key from its stop to the closed case against a running
// instance on the embedded engines, as the customer, the intruder and an analyst would:
// events over HTTP, acts by the API, mails and changes of status as a platform gets them. It
// prints a line for each thing that must be so, and ends with how many were.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("binary", "bin/holdfast", "the binary to walk with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	passed, failed, err := walk(ctx, *binary)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "walk:", err)
		failed++
	}
	fmt.Printf("walk: %d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

// walk goes until the first thing that is not so: what follows would mean nothing.
func walk(ctx context.Context, binary string) (passed, failed int, err error) {
	if binary, err = filepath.Abs(binary); err != nil {
		return 0, 0, err
	}
	i, err := start(ctx, binary)
	if err != nil {
		return 0, 0, err
	}
	defer i.stop()
	for _, s := range steps() {
		began := time.Now()
		if err := s.holds(i); err != nil {
			fmt.Printf("FAIL  %s\n      %v\n      the instance's log ends with:\n%s\n", s.says, err, i.said())
			return passed, 1, nil
		}
		passed++
		fmt.Printf("ok    %s (%s)\n", s.says, time.Since(began).Round(10*time.Millisecond))
	}
	return passed, 0, nil
}
