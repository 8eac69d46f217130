//go:build linux

// Command bench compares slbctl with HAProxy and nginx on this machine:
//
//	make bench-peers                          # all rows, a quarter of an hour
//	make bench-peers ROW=http-64,tcp-bulk     # some
//	make bench-peers ROUNDS=5 DURATION=10     # calmer numbers
//	make bench-peers FLOOR=1                  # beside them, a proxy that only moves bytes
//
// The programs take turns (A B C A B C …), each alone on the machine, freshly started
// and warmed up, configured for the same work: timeouts and counters on, one rule in
// place, connections to the server kept, no logs unless the row is about them. In rows
// of TLS that is TLS 1.3 with AES-128-GCM, X25519 and a certificate for ECDSA on P-256;
// nothing is resumed: peers keep no sessions, and the tickets that all three give out
// none the less are never used. The proxy has core 0 and one loop, thread or worker; load and
// server share core 1.
//
// The number that counts is processor time per request, user and kernel, of the
// proxy's process tree, with the delivery of its own packets over loopback in it.
// Tables have medians over the rounds; the ratio is the median of the rounds' ratios to
// the peer with the better median, because what disturbs a machine disturbs one round;
// beside it stands how much of it the kernel takes: a goal below that is out of reach for
// whoever asks the kernel for the same.
// Expect ±15 % of noise in one measurement on a machine that is not your own.
//
// Where the time goes in the row with the least of slbctl's own, http-512, tells
//
//	perf record -e cpu-clock -g -F 3000 -C 0 sleep 5      # while the row is measured
//	perf report --comm slbctl --children
//
// Two thirds of it are the two sends, each of which carries its packet through the
// loopback and into the other side's socket; an eighth the two receives; a seventh slbctl;
// epoll_wait the little that is left. A proxy of this build that only moves bytes (FLOOR=1) is no cheaper.
//
// A measurement is invalid, and makes the command fail, if a request failed or was not
// answered with 200, if the server did not see every request, if a proxy did not keep
// its connections to the server, if it spoke another TLS or protocol than the row is
// about, or if it did not write the access log of the row "everything". A missed goal is printed and does not make it fail.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	var err error
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		err = roles[os.Args[1]](os.Args[2:], os.Stdout)
	} else {
		err = compare(os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errInvalid makes the command fail after all tables have been printed.
var errInvalid = errors.New("some measurements are invalid, see above")

func compare(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	binary := flags.String("slbctl", "bin/slbctl", "the program to compare")
	names := flags.String("row", "", "rows to measure, with commas between them; empty = all")
	rounds := flags.Int("rounds", 3, "how many times each program is measured in a row")
	lowest := flags.Bool("floor", false, "measure a proxy that only moves bytes as well, where there is one")
	seconds := flags.Int("duration", 4, "seconds of one measurement")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := selectRows(rows(), *names)
	if err != nil {
		return err
	}
	if *rounds < 1 || *seconds < 1 {
		return errors.New("rounds and duration: at least 1 each")
	}
	path, err := filepath.Abs(*binary)
	if err != nil {
		return err
	}
	if err := haveCores(); err != nil {
		return err
	}
	descriptors, err := raiseDescriptors()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	b := &bench{programs: proxies(path, *lowest), descriptors: descriptors, duration: time.Duration(*seconds) * time.Second, rounds: *rounds}
	fmt.Fprintf(out, "medians of %d rounds of %d s\n", *rounds, *seconds)
	return b.compare(ctx, chosen, out)
}

// compare measures rows and prints a table after each.
func (b *bench) compare(ctx context.Context, chosen []row, out io.Writer) error {
	var invalid error
	for _, r := range chosen {
		var names []string
		for _, p := range b.programs {
			if p.takes(r) {
				names = append(names, p.name)
			}
		}
		res := b.measureRow(ctx, r)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err := res.write(out, names); err != nil {
			return err
		}
		if len(res.invalid) > 0 {
			invalid = errInvalid
		}
	}
	return invalid
}

// haveCores reports an error unless this process may use both cores.
func haveCores() error {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return err
	}
	if !allowed.IsSet(0) || !allowed.IsSet(1) {
		return errors.New("one core for the proxy and one for the load are needed, and cores 0 and 1 are not both to be had here")
	}
	return nil
}
