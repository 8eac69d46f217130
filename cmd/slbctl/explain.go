package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"slbctl/runtime/control"
	"slbctl/runtime/explain"
)

// explainCmd tells why a request goes where it goes.
type explainCmd struct {
	Request string   `arg:"" help:"http, https, tcp or udp: http://www.abc.com/tom, tcp://127.10.0.4:80."`
	From    string   `default:"127.0.0.1" placeholder:"IP[:PORT]" help:"Who asks. Without it, a client on this machine."`
	Method  string   `default:"GET" placeholder:"WORD" help:"The request's method."`
	Header  []string `sep:"none" placeholder:"'NAME: VALUE'" help:"A header of the request; Host takes the place of the URL's. May be repeated."`
	Cookie  []string `sep:"none" placeholder:"NAME=VALUE" help:"A cookie of the request. May be repeated."`
	N       int      `name:"n" short:"n" default:"1" placeholder:"COUNT" help:"Tell the servers of so many such requests, one after the other."`
	Offline bool     `help:"Ask the configuration, not the daemon, though it runs."`
	JSON    bool     `name:"json" help:"Print one JSON document."`
	variableFlags
}

func (c *explainCmd) Run(s *session) error {
	q, err := c.question()
	if err != nil {
		return &usageError{detail: err.Error(), command: "explain"}
	}
	answer, err := c.ask(s, q)
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(s.stdout, answer)
	} else {
		_, err = io.WriteString(s.stdout, explained(answer, s.width))
	}
	if err != nil {
		return err
	}
	if answer.Outcome != explain.Served && answer.Status == 0 {
		return outcome(exitError) // the client is told nothing, not even by the balancer
	}
	return nil
}

// question is what the flags ask.
func (c *explainCmd) question() (explain.Question, error) {
	q := explain.Question{URL: c.Request, Method: c.Method, Headers: c.Header, Next: c.N}
	if ip, err := netip.ParseAddr(strings.Trim(c.From, "[]")); err == nil {
		q.From = netip.AddrPortFrom(ip.Unmap(), 0)
	} else if q.From, err = netip.ParseAddrPort(c.From); err != nil {
		return q, fmt.Errorf("-from: %q is not an address: write it like 203.0.113.9 or 203.0.113.9:40000", c.From)
	}
	for _, cookie := range c.Cookie {
		if name, _, ok := strings.Cut(cookie, "="); !ok || name == "" {
			return q, fmt.Errorf("-cookie: %q is no cookie: write NAME=VALUE", cookie)
		}
	}
	if len(c.Cookie) > 0 {
		q.Headers = append(q.Headers, "Cookie: "+strings.Join(c.Cookie, "; "))
	}
	return q, q.Check()
}

// ask asks the daemon, and the configuration where none runs.
func (c *explainCmd) ask(s *session, q explain.Question) (*explain.Explanation, error) {
	if !c.Offline {
		client, err := control.Dial(workingFolder)
		if err == nil {
			return client.Explain(s.ctx, q)
		}
		if !errors.Is(err, control.ErrNotRunning) {
			return nil, err
		}
	}
	config, err := s.configured(c.variableFlags)
	if err != nil {
		return nil, err
	}
	world, err := explain.Assume(config)
	if err != nil {
		return nil, err
	}
	return world.Explain(q)
}
