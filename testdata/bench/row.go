//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
)

// row is one line of work that the programs are compared in.
type row struct {
	name  string
	title string
	setup setup
	// connections is how many the generator keeps open, streams how many requests at a
	// time it has on each, 0 = 1; with keepsServers the proxy must not need many more
	// connections towards its servers than requests at a time.
	connections  int
	streams      int
	keepsServers bool
	floor        bool      // the floor can do this work: bytes only
	generate     generator // nil: idle connections are measured
	// shared lets everything run on both cores, nothing pinned, the proxy with two loops.
	shared bool
	metric metric
	goal   float64 // 0 = none
}

// metric is what a row is about.
type metric struct {
	column string // heading of the cost
	cost   func(sample) float64
	rate   string // heading of the rate
	// ratio heads the column of the subject's value over the better peer's.
	ratio string
	value func(sample) float64
	// better tells whether a is at least as good as b.
	better func(a, b float64) bool
	cpu    bool // the value is processor time
	// against names the peers that the ratio is to. None: the goal is for the value itself.
	against []string
}

var peers = []string{haproxy, nginx}

func lower(a, b float64) bool  { return a <= b }
func higher(a, b float64) bool { return a >= b }

func microseconds(s sample) float64  { return s.CPU.Seconds() / s.Amount * 1e6 }
func milliseconds(s sample) float64  { return s.CPU.Seconds() / s.Amount * 1e3 }
func perSecond(s sample) float64     { return s.Rate }
func perConnection(s sample) float64 { return (s.Memory - s.Before) / s.Amount }

var (
	requestCost    = metric{"CPU us/req", microseconds, "requests/s", "ratio", microseconds, lower, true, peers}
	connectionCost = metric{"CPU us/conn", microseconds, "connections/s", "ratio", microseconds, lower, true, peers}
	byteCost       = metric{"CPU ms/GiB", milliseconds, "Gbit/s", "ratio", milliseconds, lower, true, peers}
	throughput     = metric{"CPU us/req", microseconds, "requests/s", "ratio of requests/s", perSecond, higher, false, []string{haproxy}}
	idleMemory     = metric{"KiB/conn", perConnection, "connections", "ratio", perConnection, lower, false, nil}
	idleMemoryTLS  = metric{"KiB/conn", perConnection, "connections", "ratio", perConnection, lower, false, peers}
)

const (
	idleConnections = 7000
	manyRules       = 10
	streams         = 100
)

// rows are the lines of the comparison in order.
func rows() []row {
	tcp := setup{Loops: 1}
	told := setup{Loops: 1, Splice: true}
	http := setup{HTTP: true, Loops: 1, Rules: rules(1)}
	two := http
	two.Loops = 2
	secure := http
	secure.TLS = true
	h2 := secure
	h2.HTTP2 = true
	everything := setup{HTTP: true, Loops: 1, Rules: rules(manyRules), Everything: true}
	return []row{
		{name: "http-64", title: "HTTP keep-alive, 64 connections", setup: http,
			connections: 64, keepsServers: true, floor: true, generate: wrk(smallBody), metric: requestCost, goal: 0.85},
		{name: "http-512", title: "HTTP keep-alive, 512 connections", setup: http,
			connections: 512, keepsServers: true, floor: true, generate: wrk(smallBody), metric: requestCost, goal: 0.60},
		{name: "http-new", title: "HTTP, a new connection per request, 64 at a time", setup: http,
			connections: 64, keepsServers: true, generate: wrk(smallBody, "Connection: close"), metric: requestCost, goal: 0.95},
		{name: "http-64k", title: "HTTP keep-alive, 64 connections, bodies of 64 KiB", setup: http,
			connections: 64, keepsServers: true, generate: wrk(largeBody), metric: requestCost, goal: 0.87},
		{name: "tcp-64", title: "TCP, HTTP keep-alive inside, 64 connections", setup: tcp,
			connections: 64, keepsServers: true, floor: true, generate: wrk(smallBody), metric: requestCost, goal: 1.0},
		{name: "tcp-rate", title: "TCP, a new connection per request, 64 at a time", setup: tcp,
			connections: 64, floor: true, generate: own("rate"), metric: connectionCost, goal: 0.95},
		{name: "tcp-bulk", title: "TCP, one long stream", setup: tcp,
			connections: 1, generate: own("bulk"), metric: byteCost, goal: 0.62},
		{name: "tcp-bulk-told", title: "TCP, one long stream, HAProxy told to splice", setup: told,
			connections: 1, generate: own("bulk"), metric: byteCost},
		{name: "two-cores", title: "HTTP keep-alive, 64 connections, two cores for everything, nothing pinned", setup: two,
			connections: 64, keepsServers: true, generate: wrk(smallBody), shared: true, metric: throughput, goal: 1.15},
		{name: "idle", title: fmt.Sprintf("HTTP, memory of %d idle keep-alive connections", idleConnections), setup: http,
			connections: idleConnections, metric: idleMemory, goal: 0.7},
		{name: "tls-64", title: "HTTPS keep-alive, 64 connections", setup: secure,
			connections: 64, keepsServers: true, generate: wrk(smallBody), metric: requestCost, goal: 0.70},
		{name: "tls-64k", title: "HTTPS keep-alive, 64 connections, bodies of 64 KiB", setup: secure,
			connections: 64, keepsServers: true, generate: wrk(largeBody), metric: requestCost, goal: 0.80},
		{name: "tls-new", title: "HTTPS, a full handshake per request, 32 at a time", setup: secure,
			connections: 32, keepsServers: true, generate: own("shakes"), metric: requestCost, goal: 0.80},
		{name: "h2", title: fmt.Sprintf("HTTP/2 over TLS, 8 connections of %d streams", streams), setup: h2,
			connections: 8, streams: streams, keepsServers: true, generate: h2load(streams), metric: requestCost, goal: 0.90},
		{name: "tls-idle", title: fmt.Sprintf("HTTPS, memory of %d idle keep-alive connections", idleConnections), setup: secure,
			connections: idleConnections, metric: idleMemoryTLS, goal: 1.0},
		{name: "everything", title: fmt.Sprintf("HTTP keep-alive, 64 connections, %d rules, stickiness and access log", manyRules), setup: everything,
			connections: 64, keepsServers: true, generate: wrk(smallBody), metric: requestCost, goal: 1.0},
	}
}

// selectRows returns the rows of a list of names with commas between them, all for an empty one.
func selectRows(all []row, names string) ([]row, error) {
	if names == "" {
		return all, nil
	}
	var known []string
	for _, r := range all {
		known = append(known, r.name)
	}
	var chosen []row
	for _, name := range strings.Split(names, ",") {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fmt.Errorf("row %q: there is none of that name; there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
