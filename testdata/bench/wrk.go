//go:build linux

package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// load is what a generator has put through a proxy.
type load struct {
	Requests int64   // that were answered
	Amount   float64 // what costs are divided by: requests, GiB or connections
	Rate     float64 // requests or Gbit a second
	P50, P99 float64 // microseconds
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkRate     = regexp.MustCompile(`(?m)^Requests/sec:\s+([\d.]+)`)
	wrkQuantile = regexp.MustCompile(`(?m)^\s+(50|99)%\s+(\S+)\s*$`)
	wrkErrors   = regexp.MustCompile(`(?m)^\s*(Socket errors: .*|Non-2xx or 3xx responses: .*)$`)
)

// parseWrk reads what wrk --latency prints.
func parseWrk(out string) (load, error) {
	var l load
	if failures := wrkErrors.FindAllString(out, -1); failures != nil {
		return l, errors.New("wrk: " + strings.Join(strings.Fields(strings.Join(failures, "; ")), " "))
	}
	for _, field := range []struct {
		pattern *regexp.Regexp
		to      *float64
	}{{wrkRequests, &l.Amount}, {wrkRate, &l.Rate}} {
		m := field.pattern.FindStringSubmatch(out)
		if m == nil {
			return l, fmt.Errorf("wrk: unexpected output: %q", out)
		}
		*field.to, _ = strconv.ParseFloat(m[1], 64) // digits, says the pattern
	}
	if l.Requests = int64(l.Amount); l.Requests == 0 {
		return l, errors.New("wrk: no request was answered")
	}
	for _, m := range wrkQuantile.FindAllStringSubmatch(out, -1) {
		d, err := time.ParseDuration(m[2])
		if err != nil {
			return l, fmt.Errorf("wrk: latency: %w", err)
		}
		if us := float64(d.Nanoseconds()) / 1e3; m[1] == "50" {
			l.P50 = us
		} else {
			l.P99 = us
		}
	}
	return l, nil
}
