//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// h2load asks for small bodies over HTTP/2, with so many streams at a time on each
// connection.
func h2load(streams int) generator {
	return func(ctx context.Context, j job) (load, error) {
		out, err := output(ctx, pinned(j.cores, "h2load", "-t1", fmt.Sprint("-c", j.connections), fmt.Sprint("-m", streams),
			fmt.Sprint("-D", int(j.duration.Seconds())), "--connect-to="+j.target.Endpoint.String(), "-H", ":authority: "+j.target.Host,
			fmt.Sprintf("https://%s:%d%s%d", j.target.Host, j.target.Endpoint.Port(), j.target.Path, smallBody)))
		if err != nil {
			return load{}, err
		}
		return parseH2load(string(out), j.duration.Seconds())
	}
}

var (
	h2loadRequests = regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2loadStatuses = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx`)
	h2loadProtocol = regexp.MustCompile(`(?m)^Application protocol: h2$`)
)

// parseH2load reads what h2load prints. Requests under way at the end count nowhere.
func parseH2load(out string, seconds float64) (load, error) {
	requests, statuses := h2loadRequests.FindStringSubmatch(out), h2loadStatuses.FindStringSubmatch(out)
	if requests == nil || !h2loadProtocol.MatchString(out) {
		return load{}, fmt.Errorf("h2load: unexpected output: %q", out)
	}
	done := requests[1]
	if statuses == nil || statuses[1] != done || requests[2] != done || requests[3] != "0" || requests[4] != "0" || requests[5] != "0" {
		return load{}, fmt.Errorf("h2load: %s", requests[0])
	}
	n, _ := strconv.ParseFloat(done, 64) // digits, says the pattern
	if n == 0 {
		return load{}, errors.New("h2load: no request was answered")
	}
	return load{Requests: int64(n), Amount: n, Rate: n / seconds}, nil
}
