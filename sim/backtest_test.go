package sim

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

// recordedDay is a trace of what a simulation sends and decides.
func recordedDay(t *testing.T, c *spec.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "day.trace")
	run1(t, c, Options{Record: path})
	return path
}

// TestBacktestAgrees: the record of a simulation agrees with the configuration that it is
// of, request by request, under the schedulers that depend on requests alone.
func TestBacktestAgrees(t *testing.T) {
	hashed := shop(spec.SchedulerSCH, 3, 1, 2)
	b, err := RunBacktest(hashed, listenerAddress, recordedDay(t, hashed), Options{})
	if err != nil || b.Agreement == nil || *b.Agreement != 1 || b.Compared != b.Requests {
		t.Errorf("sch: %+v, %v", b, err)
	}
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWRR} {
		c := web(scheduler, 3, 1, 2)
		addRule(c, "tom", "www.aaa.com/tom", 0, 1)
		addRule(c, "jerry", "www.aaa.com/jerry", 2)
		day(c).Duration = 5 * time.Second
		day(c).Traffic[0].Mix = mixOf("2 www.aaa.com/tom", "1 www.aaa.com/jerry", "2 www.bbb.com/", "1 www.aaa.com/none")
		b, err := RunBacktest(c, webAddress, recordedDay(t, c), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if b.Agreement == nil || *b.Agreement != 1 || b.Compared < 2000 || b.Unnamed == 0 || len(b.Unknown) > 0 {
			t.Errorf("%s: %+v", scheduler, b)
		}
		// Against other weights it must not agree, or the comparison sees nothing.
		other := web(scheduler, 1, 3, 2)
		addRule(other, "tom", "www.aaa.com/tom", 0, 1)
		addRule(other, "jerry", "www.aaa.com/jerry", 0)
		if b, err = RunBacktest(other, webAddress, recordedDay(t, c), Options{}); err != nil {
			t.Fatal(err)
		}
		if b.Agreement == nil || *b.Agreement > 0.9 {
			t.Errorf("%s: other weights agree: %+v", scheduler, b)
		}
	}
}

// TestBacktestTurn: a log that begins in the middle of a period is taken from there on.
func TestBacktestTurn(t *testing.T) {
	c := web(spec.SchedulerWRR, 3, 2)
	period := []string{"s0", "s1", "s0", "s1", "s0"} // smooth weighted round robin of 3:2
	var lines []string
	for i := range 50 {
		server := period[(i+3)%5]
		lines = append(lines, fmt.Sprintf("203.0.113.9:5%03d [28/Nov/2026:08:14:%02d.000] web app/%s 0/0/1/8/9 200 612 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n", i, i, server))
	}
	lines = append(lines, strings.Replace(lines[49], "app/s0", "app/old", 1), strings.Replace(lines[49], "app/s0", "app/<NOSRV>", 1))
	lines[50], lines[51] = strings.Replace(lines[50], "app/s1", "app/old", 1), strings.Replace(lines[51], "app/s1", "app/<NOSRV>", 1)
	b, err := RunBacktest(c, webAddress, writeLog(t, lines...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := b.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	const want = `backtest of 52 requests in 49s
  to load_balancer.lb.listener["http:80"], wrr
  the log begins at turn 3 of 5 of load_balancer.lb.listener["http:80"]

  server       logged   share  predicted   share
  instance.s0      30  60.00%         30  60.00%
  instance.s1      20  40.00%         20  40.00%

  100% agree: 50 of 50 requests go to the server that the log names
  1 request without a server in the log
  1 request by "old", which the listener has not
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
}

// TestDiff: two results side by side, of the same simulation and of those that one has alone.
func TestDiff(t *testing.T) {
	result := func(scheduler string, weights ...int) *Result {
		c := shop(scheduler, weights...)
		day(c).Duration = 10 * time.Second
		day(c).Warmup = 0
		day(c).Expects = []spec.Expect{{Name: "even", Metric: spec.MetricShare, Of: "instance.s0", Max: limit(0.6), During: spec.DuringAll}}
		return run1(t, c, Options{})
	}
	a, b := result(spec.SchedulerWRR, 1, 1), result(spec.SchedulerWRR, 3, 1, 0)
	only := *a
	only.Name = "another"
	var text strings.Builder
	if err := WriteDiff(&text, []*Result{a}, []*Result{b, &only}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"    instance.s0  50.00%  75.00%     +25.00%\n", "    instance.s2       -   0.00%\n", "  even          pass    fail\n",
		"simulation \"another\"  only in the second",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}
