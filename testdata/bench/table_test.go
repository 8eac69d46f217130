//go:build linux

package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// costs makes samples of so many microseconds a request.
func costs(us ...int) []sample {
	var s []sample
	for _, n := range us {
		s = append(s, sample{load: load{Amount: 1000, Rate: float64(1e6 / n)}, CPU: time.Duration(n) * time.Millisecond, Kernel: time.Duration(n) * time.Millisecond / 4, Before: 1000, Memory: 1000 + float64(n)})
	}
	return s
}

func TestRatioIsPaired(t *testing.T) {
	for name, test := range map[string]struct {
		metric       metric
		goal         float64
		a, b, c      []sample
		invalid      string
		ratio        string
		verdict, row string
		kernel       string
	}{
		"median of the rounds": {requestCost, 0.85, costs(8, 40, 9), costs(10, 50, 10), costs(20, 60, 30), "", "0.80", "0.85 ok", "9.00", "0.20"},
		"the better median":    {requestCost, 0.85, costs(8, 8, 8), costs(10, 80, 10), costs(80, 10, 80), "", "0.80", "0.85 ok", "8.00", "0.20"},
		"not the round's luck": {requestCost, 0.95, costs(9, 9, 9, 9), costs(10, 8, 10, 10), costs(8, 11, 11, 11), "", "0.90", "0.95 ok", "9.00", "0.22"},
		"missed":               {requestCost, 0.75, costs(8, 8), costs(10, 10), costs(20, 20), "", "0.80", "0.75 missed", "8.00", "0.20"},
		"more is better":       {throughput, 1.15, costs(10, 10), costs(12, 12), costs(1, 1), "", "1.20", "1.15 ok", "10.0", ""},
		"more, missed":         {throughput, 1.25, costs(10, 10), costs(12, 12), costs(20, 20), "", "1.20", "1.25 missed", "10.0", ""},
		"a value":              {idleMemory, 0.009, costs(8), costs(10), costs(20), "", "", "0.01 ok", "0.01", ""},
		"a peer without one":   {requestCost, 0.85, costs(8), costs(10), nil, nginx, "", "0.85", "8.00", ""},
		"not of the ratio":     {throughput, 1.15, costs(10), costs(12), nil, nginx, "1.20", "1.15 ok", "10.0", ""},
		"the subject without":  {idleMemory, 0.7, nil, costs(12), costs(5), subject, "", "", "invalid", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := results{row{name: "x", title: "title", metric: test.metric, goal: test.goal},
				map[string][]sample{subject: test.a, haproxy: test.b, nginx: test.c}, map[string]error{}}
			if test.invalid != "" {
				r.invalid[test.invalid] = errors.New("it fell over")
			}
			var b strings.Builder
			if err := r.write(&b, []string{subject, haproxy, nginx}); err != nil {
				t.Fatal(err)
			}
			out := b.String()
			var line string
			for l := range strings.Lines(out) {
				if fields := strings.Fields(l); len(fields) > 0 && fields[0] == subject {
					line = strings.Join(fields, " ")
					break
				}
			}
			want := strings.Join(strings.Fields(subject+" "+test.row+" "+test.ratio+" "+test.verdict+" "+test.kernel), " ")
			if !strings.HasPrefix(line+" ", want+" ") {
				t.Errorf("%q, want %q in\n%s", line, want, out)
			}
			if said := strings.Contains(out, "is invalid: it fell over"); said != (test.invalid != "") {
				t.Errorf("says why: %v\n%s", said, out)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		vs   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(test.vs); got != test.want {
			t.Errorf("median(%v) = %v, want %v", test.vs, got, test.want)
		}
	}
}

func TestParseWrk(t *testing.T) {
	const good = `Running 1s test @ http://127.0.0.1:18000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.07ms  405.31us   9.76ms   83.90%
    Req/Sec    60.89k     3.32k   66.19k    80.00%
  Latency Distribution
     50%    0.98ms
     75%    1.19ms
     90%    1.45ms
     99%    1.01s 
  60588 requests in 1.00s, 11.39MB read
Requests/sec:  60497.41
Transfer/sec:     11.37MB
`
	l, err := parseWrk(good)
	if want := (load{Requests: 60588, Amount: 60588, Rate: 60497.41, P50: 980, P99: 1.01e6}); err != nil || l != want {
		t.Errorf("%+v, %v, want %+v", l, err, want)
	}
	for name, out := range map[string]string{
		"socket errors": strings.Replace(good, "Requests/sec", "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec", 1),
		"statuses":      strings.Replace(good, "Requests/sec", "  Non-2xx or 3xx responses: 12\nRequests/sec", 1),
		"nothing":       strings.Replace(good, "60588 requests", "0 requests", 1),
		"no output":     "",
	} {
		if l, err := parseWrk(out); err == nil {
			t.Errorf("%s: %+v without an error", name, l)
		}
	}
}
