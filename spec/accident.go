package spec

import (
	"slices"
	"time"
)

var faultBlock = &block{
	name:   "fault",
	labels: []attribute{bind("name", text, func(f *Fault) *string { return &f.Name })},
	attributes: []attribute{
		bind("at", duration(0, longest), func(f *Fault) *time.Duration { return &f.At }, required),
		bind("for", duration(0, longest), func(f *Fault) *time.Duration { return &f.For }, fallback("0s")),
		bind("target", list(text, 1), func(f *Fault) *[]string { return &f.Targets }, reference("instance"), fallback([]any{})),
		bind("zone", bounded(64), func(f *Fault) *string { return &f.Zone }, fallback("")),
		bind("mode", word([]string{FaultRefuse, FaultHang, FaultSlow, FaultErrors, FaultFlap}), func(f *Fault) *string { return &f.Mode }, fallback(FaultRefuse)),
		bind("factor", number(1, 1000), func(f *Fault) *float64 { return &f.Factor }, fallback(10.0)),
		bind("error_rate", number(0, 1), func(f *Fault) *float64 { return &f.ErrorRate }, fallback(1.0)),
		bind("period", duration(shortest, longest), func(f *Fault) *time.Duration { return &f.Period }, fallback("10s")),
	},
	finish: func(d *decoder, s *site, fault any) {
		for _, own := range [][2]string{{"factor", FaultSlow}, {"error_rate", FaultErrors}, {"period", FaultFlap}} {
			if name, mode := own[0], own[1]; s.has(name) && fault.(*Fault).Mode != mode {
				d.errorf(s.at(name), "Unused argument", "Remove it, or write mode = \""+mode+"\".", "Only the mode %s has %s.", mode, name)
			}
		}
		d.checkTarget(s, "fault")
	},
}

// checkErrors looks for servers that cannot answer with an error.
func (d *decoder) checkErrors(c *Config, behind map[string]bool, f *Fault, place *site) {
	for _, i := range c.Instances {
		hit := slices.Contains(f.Targets, i.Address) || f.Zone != "" && f.Zone == i.Zone && behind[i.Address]
		if f.Mode == FaultErrors && hit && i.Protocol != ProtocolHTTP {
			d.errorf(place.at("mode"), "No error to answer with", "Write mode = \"refuse\" or \"hang\".", "%s speaks %s.", i.Address, i.Protocol)
		}
	}
}
