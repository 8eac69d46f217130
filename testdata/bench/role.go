//go:build linux

package main

import (
	"encoding/json"
	"flag"
	"io"
	"net/netip"
	"time"
)

// roles are what this program runs itself as beside the comparison, each in a process
// of its own so that it can have cores of its own: the server, which takes the
// endpoints to listen on, the floor, and generators, which print their load.
var roles = map[string]func(args []string, out io.Writer) error{
	"backend": func(args []string, _ io.Writer) error { return serveBackend(args) },
	"floor":   func(args []string, _ io.Writer) error { return serveFloor(args) },
	"rate":    generatorRole(func(r role) (load, error) { return measureRate(r.endpoint, r.connections, r.duration) }),
	"bulk":    generatorRole(func(r role) (load, error) { return measureBulk(r.endpoint, r.duration) }),
	"shakes": generatorRole(func(r role) (load, error) {
		return measureShakes(r.endpoint, r.host, r.path, r.connections, r.duration)
	}),
	"idle": generatorRole(func(r role) (load, error) { return holdIdle(r.endpoint, r.host, r.path, r.tls, r.connections) }),
}

// role is what a generator is told.
type role struct {
	endpoint    netip.AddrPort
	host, path  string
	tls         bool
	connections int
	duration    time.Duration
}

func generatorRole(generate func(role) (load, error)) func([]string, io.Writer) error {
	return func(args []string, out io.Writer) error {
		var r role
		flags := flag.NewFlagSet("generator", flag.ContinueOnError)
		flags.TextVar(&r.endpoint, "endpoint", netip.AddrPort{}, "where to connect to")
		flags.StringVar(&r.host, "host", "", "name of the server")
		flags.StringVar(&r.path, "path", "/", "page to ask for")
		flags.BoolVar(&r.tls, "tls", false, "encrypt")
		flags.IntVar(&r.connections, "connections", 1, "how many at a time")
		flags.DurationVar(&r.duration, "duration", time.Second, "how long")
		if err := flags.Parse(args); err != nil {
			return err
		}
		l, err := generate(r)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(l)
	}
}
