//go:build linux

// Command simpy prints what a million requests of M/M/1 cost in the simulator and in SimPy, the
// simulator that people of queueing use, and whether both agree with theory:
//
//	make bench-sim
//
// Time is processor time, of the simulation alone: neither the start of a program counts nor
// that of an interpreter. Either has one thread. It fails if a mean response is more than four standard
// errors from what theory says, and goes on without SimPy where that is not installed.
package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/sim"
	"slbctl/spec"
)

// The model, as mm1.slb.hcl has it.
const (
	rate     = 800.0
	service  = 0.001 // seconds
	requests = 1_000_000
	rounds   = 10
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "simpy:", err)
		os.Exit(1)
	}
}

// measured is what one of them has to say.
type measured struct {
	name     string
	requests int64 // of one run
	seconds  float64
	response float64 // mean
	seen     int64   // requests that it is of
}

func run() error {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(file)
	ours, err := simulated(dir)
	if err != nil {
		return err
	}
	rows := []measured{ours}
	python := "/usr/bin/python3" // whose packages are Debian's
	if exec.Command(python, "-c", "import simpy").Run() == nil {
		theirs, err := simpy(python, filepath.Join(dir, "mm1.py"))
		if err != nil {
			return err
		}
		rows = append(rows, theirs)
	} else {
		fmt.Println("SimPy is not installed: as root, apt-get install python3-simpy3")
	}
	return compare(rows)
}

// simulated runs the model in the simulator, the calmest of some rounds. The mean is that of as many
// more, each of another seed, for those look at each request.
func simulated(dir string) (measured, error) {
	c, found := spec.Load(dir, spec.Options{})
	if len(found) > 0 {
		return measured{}, fmt.Errorf("%v", found)
	}
	out := measured{name: "slbctl sim", seconds: math.Inf(1)}
	var sum time.Duration
	for seed := range uint64(rounds) {
		began := cpu()
		r, err := sim.Run(c, "mm1", sim.Options{Seed: &seed})
		if err != nil {
			return out, err
		}
		out.seconds, out.requests = min(out.seconds, (cpu()-began).Seconds()), r.Requests
		r, err = sim.Run(c, "mm1", sim.Options{Seed: &seed, Observe: func(p sim.Pick) { sum += p.Took }})
		if err != nil {
			return out, err
		}
		out.seen += r.Requests
	}
	out.response = sum.Seconds() / float64(out.seen)
	return out, nil
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// simpy runs the model in SimPy.
func simpy(python, script string) (measured, error) {
	m := measured{requests: requests, seen: requests}
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	out, err := exec.Command(python, script, strconv.Itoa(requests), text(rate), text(service), "1").Output()
	if err != nil {
		return m, fmt.Errorf("%s: %w", script, err)
	}
	var version string
	if _, err := fmt.Sscan(string(out), &version, &m.seconds, &m.response); err != nil {
		return m, fmt.Errorf("%s says %q: %w", script, out, err)
	}
	m.name = "SimPy " + version
	return m, nil
}

// compare prints the rows, and holds their means to theory.
func compare(rows []measured) error {
	const rho = rate * service
	theory := service / (1 - rho)
	fmt.Printf("M/M/1, %.0f%% busy: the mean response is %.3f ms by theory\n\n", 100*rho, 1000*theory)
	fmt.Printf("%-14s %12s %12s %14s %14s\n", "", "requests", "requests/s", "ns/request", "mean response")
	var wrong error
	for _, m := range rows {
		n := float64(m.requests)
		fmt.Printf("%-14s %12d %12.0f %14.1f %11.3f ms  %+.2f%%\n", m.name, m.requests, n/m.seconds, 1e9*m.seconds/n, 1000*m.response, 100*(m.response/theory-1))
		if tolerance := 4 * deviation(rho) * service / math.Sqrt(float64(m.seen)); math.Abs(m.response-theory) > tolerance {
			wrong = fmt.Errorf("the mean response of %s is %.3f ms, want %.3f±%.3f ms", m.name, 1000*m.response, 1000*theory, 1000*tolerance)
		}
	}
	if len(rows) > 1 {
		a, b := rows[0], rows[1]
		fmt.Printf("\n%s takes %.0f times as long for a request; the means are %.2f%% apart\n", b.name,
			b.seconds/float64(b.requests)/(a.seconds/float64(a.requests)), 100*math.Abs(b.response/a.response-1))
	}
	return wrong
}

// deviation is that of the mean wait of n clients of M/M/1, in service times, times the root of n, for large
// n: those who come one after the other wait alike (W. Whitt, Planning queueing simulations, 1989).
func deviation(rho float64) float64 {
	return math.Sqrt(rho*(2+5*rho-4*rho*rho+rho*rho*rho)) / ((1 - rho) * (1 - rho))
}
