package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Of the metrics of simulations these need no traffic: what is configured settles them.
var balancerMetrics = []string{MetricShare, MetricErrors, MetricErrorRate, MetricUnrouted}

// balancerMetric refuses the metrics of traffic with the place that they have.
var balancerMetric = func() codec[string] {
	c := word(balancerMetrics)
	c.parse = func(v cty.Value) (string, error) {
		s := v.AsString()
		if slices.Contains([]string{"p50", "p99", "p999", "clients_moved", "utilisation"}, s) {
			err := fmt.Errorf("must be %s here: a load_balancer has no traffic of which %s could be told", either(balancerMetrics), s)
			return "", hintError{err, "Write it in the expect block of a simulation."}
		}
		return oneOf(s, balancerMetrics)
	}
	return c
}()

// balancerExpectBlock is an expect block of a load balancer: that of a simulation, and
// what only something that runs can have.
var balancerExpectBlock = &block{
	name:   expectBlock.name,
	labels: expectBlock.labels,
	attributes: append([]attribute{
		bind("metric", balancerMetric, func(e *Expect) *string { return &e.Metric }, required),
		bind("confidence", number(0.5, 0.999999), func(e *Expect) *float64 { return &e.Confidence }, fallback(DefaultConfidence)),
		bind("live", boolean, func(e *Expect) *bool { return &e.Live }, fallback(false)),
	}, slices.DeleteFunc(slices.Clone(expectBlock.attributes), func(a attribute) bool { return a.name == "metric" || a.name == "confidence" })...),
	finish: func(d *decoder, s *site, target any) {
		finishExpect(d, s, target)
		if e := target.(*Expect); s.has("confidence") && !e.Live {
			d.errorf(s.at("confidence"), "Unused argument", "Remove it, or write live = true.",
				"What a plan counts is exact; confidence is for samples of real requests.")
		}
	},
}

// zonePrefix begins the name of a zone's loss, as plans have it.
const zonePrefix = "zone="

// checkExpects holds the expectations of a balancer against what it has.
func (l *loader) checkExpects(c *Config, lb *LoadBalancer, s *site) {
	d := &decoder{l: l}
	names := map[string]bool{}
	for n := range lb.Expects {
		e, place := &lb.Expects[n], s.child("expect", n)
		if names[e.Name] {
			d.errorf(place.label(0), "Duplicate name", "", "An expectation %q is there already.", e.Name)
		}
		names[e.Name] = true
		var held []*Listener
		for _, listener := range lb.Listeners {
			if e.Metric == MetricUnrouted && !l7.has(listener) || e.Of != "" && !c.servers(lb, listener)[e.Of] {
				continue
			}
			held = append(held, listener)
		}
		switch {
		case len(lb.Listeners) == 0:
			d.errorf(place.rng, "Nothing to send to", "Add a listener block.", "%s has no listener.", lb.Address)
		case len(held) == 0 && e.Of != "":
			d.errorf(place.at("of"), "Not a backend", "", "%s is behind no listener of %s.", e.Of, lb.Address)
		case len(held) == 0:
			d.errorf(place.at("metric"), "Nothing to route", "Write metric = \"errors\".", "The metric unrouted is for %s; %s has none.", l7, lb.Address)
		default:
			d.checkLoss(c, lb, e, place)
			d.checkLive(e, held, place)
		}
	}
}

// checkLoss looks for what an expectation supposes to be lost.
func (d *decoder) checkLoss(c *Config, lb *LoadBalancer, e *Expect, place *site) {
	windows := []string{DuringAll, DuringSteady}
	for _, listener := range lb.Listeners {
		for address := range c.servers(lb, listener) {
			if i := c.Instance(address); i != nil {
				windows = append(windows, address)
				if i.Zone != "" {
					windows = append(windows, zonePrefix+i.Zone)
				}
			}
		}
	}
	slices.Sort(windows)
	windows = slices.Compact(windows)
	switch {
	case !slices.Contains(windows, e.During):
		d.errorf(place.at("during"), "Unknown window", didYouMean(e.During, windows),
			"during must be \"all\", or the loss of a server such as \"instance.NAME\" or of a zone such as \"zone=NAME\" behind %s, not %q.", lb.Address, e.During)
	case e.Live && e.Loss() != "":
		d.errorf(place.at("live"), "Not for real requests", "Remove live.", "No apply takes %s away to see what happens.", e.During)
	}
}

// checkLive looks for a listener that can be asked.
func (d *decoder) checkLive(e *Expect, held []*Listener, place *site) {
	if !e.Live {
		return
	}
	var why []string
	for _, listener := range held {
		reason := listener.Unasked(e)
		if reason == "" {
			return
		}
		why = append(why, listener.Address+" "+reason)
	}
	d.errorf(place.at("live"), "Nothing to ask", "Remove live: the expectation is judged at every plan all the same.",
		"No listener answers an apply's own requests so that this could be judged: %s.", strings.Join(why, "; "))
}

// Unasked says why real requests cannot tell whether a listener keeps a live
// expectation; empty where they can.
func (l *Listener) Unasked(e *Expect) string {
	switch {
	case l.Protocol == ProtocolUDP:
		return "is udp, where silence may be an answer"
	case l.CACertificate != "":
		return "asks clients for a certificate"
	case l.SlowStart > 0 && e.Metric == MetricShare:
		return "has slow_start, so shares are others at first"
	}
	return ""
}

// Loss is what an expectation of a balancer supposes to be lost: the address of an
// instance, or "zone=" and a name. Empty where nothing is.
func (e *Expect) Loss() string {
	if e.During == DuringAll || e.During == DuringSteady {
		return ""
	}
	return e.During
}

// Lost reports whether an instance is part of a loss.
func (i *Instance) Lost(loss string) bool {
	return loss != "" && (loss == i.Address || loss == zonePrefix+i.Zone && i.Zone != "")
}
