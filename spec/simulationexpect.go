package spec

import (
	"fmt"
	"time"

	"github.com/zclconf/go-cty/cty"
)

var expectBlock = &block{
	name:   "expect",
	labels: []attribute{bind("name", text, func(e *Expect) *string { return &e.Name })},
	attributes: []attribute{
		bind("metric", word([]string{MetricShare, MetricErrors, MetricErrorRate, MetricP50, MetricP99, MetricP999, MetricUtilisation, MetricUnrouted, MetricClientsMoved}),
			func(e *Expect) *string { return &e.Metric }, required),
		bind("of", text, func(e *Expect) *string { return &e.Of }, reference("instance"), fallback("")),
		bind("min", optional(measure), func(e *Expect) **float64 { return &e.Min }),
		bind("max", optional(measure), func(e *Expect) **float64 { return &e.Max }),
		bind("during", text, func(e *Expect) *string { return &e.During }, fallback(DuringAll)),
		bind("confidence", number(0.5, 0.999999), func(e *Expect) *float64 { return &e.Confidence }, fallback(DefaultConfidence)),
	},
	later:  []string{"live"},
	finish: finishExpect,
}

func finishExpect(d *decoder, s *site, target any) {
	e := target.(*Expect)
	switch {
	case e.Metric == MetricShare && !s.has("of"):
		d.errorf(s.at("metric"), "Share of what?", "Write of = instance.NAME.", "The metric share needs of.")
	case e.Metric != MetricShare && e.Metric != MetricUtilisation && s.has("of"):
		d.errorf(s.at("of"), "Unused argument", "Remove it, or write metric = \"share\".", "Only the metrics share and utilisation have of.")
	}
	switch {
	case !s.has("min") && !s.has("max"):
		d.errorf(s.rng, "Expectation without bound", "Write min, max or both.", "An expectation needs a bound to hold.")
	case e.Min != nil && e.Max != nil && *e.Min > *e.Max:
		d.errorf(s.at("min"), "Bounds crossed", "", "min %s is above max %s.", decimal(*e.Min), decimal(*e.Max))
	}
	latency := e.Metric == MetricP50 || e.Metric == MetricP99 || e.Metric == MetricP999
	if latency || e.Metric == MetricErrors || e.Metric == MetricUnrouted {
		return
	}
	for name, bound := range map[string]*float64{"min": e.Min, "max": e.Max} {
		if bound != nil && *bound > 1 {
			d.errorf(s.at(name), "Out of range", "", "%s of %s is a fraction from 0 to 1, not %s.", name, e.Metric, decimal(*bound))
		}
	}
}

// measure is the bound of a metric: a number, or a duration for that of a time, in seconds.
var measure = func() codec[float64] {
	c := number(0, 1e15)
	parse := c.parse
	c.typ = cty.DynamicPseudoType
	c.schema = map[string]any{"type": []string{"number", "string"}, "minimum": 0, "maximum": 1e15}
	c.parse = func(v cty.Value) (float64, error) {
		switch v.Type() {
		case cty.Number:
			return parse(v)
		case cty.String:
			d, err := time.ParseDuration(v.AsString())
			if err != nil || d < 0 {
				return 0, fmt.Errorf("must be a number or a duration such as \"5ms\", not %q", v.AsString())
			}
			return d.Seconds(), nil
		}
		return 0, fmt.Errorf("must be a number or a duration such as \"5ms\", not %s", v.Type().FriendlyName())
	}
	return c
}()
