package spec

import (
	"slices"
	"time"
)

var serviceBlock = &block{
	name: "service",
	attributes: []attribute{
		bind("time", duration(time.Nanosecond, time.Hour), func(s *Service) *time.Duration { return &s.Time }),
		bind("log", bounded(4096), func(s *Service) *string { return &s.Log }, fallback("")),
		bind("distribution", word([]string{ServiceConstant, ServiceExponential, ServiceLognormal}),
			func(s *Service) *string { return &s.Distribution }, fallback(ServiceExponential)),
		bind("sigma", number(0.01, 3), func(s *Service) *float64 { return &s.Sigma }, fallback(1.0)),
		bind("discipline", word([]string{DisciplineFCFS, DisciplinePS}), func(s *Service) *string { return &s.Discipline }, fallback(DisciplineFCFS)),
		bind("workers", integer[int](1, 1<<16), func(s *Service) *int { return &s.Workers }, fallback(1.0)),
		bind("queue", integer[int](0, 1<<20), func(s *Service) *int { return &s.Queue }, fallback(1024.0)),
	},
	finish: func(d *decoder, s *site, service any) {
		switch {
		case s.has("log") && service.(*Service).Log == "":
			d.errorf(s.at("log"), "Empty name", "Write log = \"access.log\".", "log is the name of a file.")
		case !s.has("log") && !s.has("time"):
			d.errorf(s.rng, "Missing argument", "Write time = \"8ms\", or log = \"access.log\".", "A service needs a time, or a log that tells times.")
		case s.has("log"):
			for _, name := range []string{"time", "distribution", "sigma"} {
				if s.has(name) {
					d.errorf(s.at(name), "Unused argument", "Remove it, or log.", "The log tells the times: %s is for a service without log.", name)
				}
			}
			return
		}
		if s.has("sigma") && service.(*Service).Distribution != ServiceLognormal {
			d.errorf(s.at("sigma"), "Unused argument", "Remove it, or write distribution = \"lognormal\".", "Only lognormal times have a sigma.")
		}
	},
}

// ofService are the metrics that there are only where servers take time.
var ofService = []string{MetricP50, MetricP99, MetricP999, MetricUtilisation}

// needService reports what has no meaning while servers take no time.
func (d *decoder) needService(s *site, sim *Simulation) {
	if sim.Service != nil {
		return
	}
	const hint = "Write service { time = \"8ms\" }."
	for n, e := range sim.Expects {
		if slices.Contains(ofService, e.Metric) {
			d.errorf(s.child("expect", n).at("metric"), "Servers take no time", hint, "The metric %s needs a service block.", e.Metric)
		}
	}
	for n, f := range sim.Faults {
		if f.Mode == FaultSlow {
			d.errorf(s.child("fault", n).at("mode"), "Servers take no time", hint, "The mode slow needs a service block.")
		}
	}
}
