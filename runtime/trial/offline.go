package trial

import (
	"net/http"
	"strings"

	"slbctl/runtime/explain"
	"slbctl/runtime/webserver"
	"slbctl/spec"
)

// Offline runs tests on a configuration that nothing needs to run of.
func Offline(c *spec.Config) (*Runner, error) {
	world, err := explain.Assume(c)
	if err != nil {
		return nil, err
	}
	return &Runner{
		Explain: world.Explain,
		Answer:  func(q *explain.Question, e *explain.Explanation) Reply { return assumed(c, q, e) },
	}, nil
}

// assumed is what the configuration says will come back.
func assumed(c *spec.Config, q *explain.Question, e *explain.Explanation) (r Reply) {
	if e.Outcome != explain.Served {
		return Reply{Answers: []Answer{own(e)}}
	}
	if scheme, _, _ := strings.Cut(q.URL, "://"); scheme == spec.ProtocolTCP || scheme == spec.ProtocolUDP {
		return Reply{Answers: []Answer{{Status: connected}}}
	}
	header := http.Header{}
	for _, h := range q.Headers {
		name, value, _ := strings.Cut(h, ":")
		header.Add(name, strings.TrimSpace(value))
	}
	_, names := picked(e)
	for _, name := range names {
		i := instanceOf(c, name)
		if i == nil {
			return Reply{Unknown: name + " is not an instance of this configuration: only -live tells what it answers"}
		}
		page := webserver.Instance{
			Address: i.Address, Protocol: i.Protocol, Pages: i.Pages, Site: i.Site, Command: i.Command, Fault: i.Fault,
		}
		status, answer, unknown := page.Answer(q.Method, q.Target(), header)
		if unknown != "" {
			return Reply{Unknown: name + " " + unknown + ": only -live tells what it answers"}
		}
		r.Answers = append(r.Answers, Answer{By: name, Status: status, Header: answer})
	}
	return r
}

// own is what the balancer itself answers.
func own(e *explain.Explanation) Answer {
	a := Answer{Status: e.Status}
	if e.Location != "" {
		a.Header = http.Header{"Location": {e.Location}}
	}
	return a
}

// instanceOf finds the instance that a server is, with or without a port.
func instanceOf(c *spec.Config, name string) *spec.Instance {
	if i := c.Instance(name); i != nil {
		return i
	}
	at := strings.LastIndexByte(name, ':')
	if at < 0 {
		return nil
	}
	return c.Instance(name[:at])
}

// Coverage is which rules of a configuration requests of tests have come to.
type Coverage struct {
	Percent   float64  `json:"percent"` // of the rules; 100 where there are none
	Reached   int      `json:"reached"`
	Rules     int      `json:"rules"`
	Unreached []string `json:"unreached"` // resource addresses
}

// Cover counts them.
func Cover(c *spec.Config, results []*Result) Coverage {
	reached := map[string]bool{}
	for _, r := range results {
		reached[r.Rule] = true
	}
	cover := Coverage{Percent: 100, Unreached: []string{}}
	for _, lb := range c.LoadBalancers {
		for _, l := range lb.Listeners {
			for _, r := range l.Rules {
				cover.Rules++
				if reached[r.Address] {
					cover.Reached++
				} else {
					cover.Unreached = append(cover.Unreached, r.Address)
				}
			}
		}
	}
	if cover.Rules > 0 {
		cover.Percent = 100 * float64(cover.Reached) / float64(cover.Rules)
	}
	return cover
}
