package planner

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"slbctl/spec"
)

// wantedSettings are the runtime's after this plan. A plan for a part of the
// configuration, or its end, leaves them as they are.
func wantedSettings(in Input) spec.Runtime {
	if in.State != nil && (in.Config == nil || in.Destroy || len(in.Targets) > 0) {
		return in.State.Runtime
	}
	if in.Config != nil {
		return in.Config.Runtime
	}
	return spec.Runtime{}
}

// runtimeChange compares the runtime with what is recorded of it.
func (g *ground) runtimeChange(in Input) RuntimeChange {
	c := RuntimeChange{Action: NoOp}
	hasWork := len(g.recorded) > 0 || len(g.wanted) > 0 && !in.Destroy
	switch {
	case in.SkipRefresh || !hasWork || in.recordOnly():
	case !in.Observed.Running && in.Destroy:
	case !in.Observed.Running:
		c.Action, c.Reason = Create, "the runtime is not running"
	case in.State != nil && in.Observed.Hash != in.State.ConfigHash:
		c.Action, c.Reason = Update, fmt.Sprintf("it runs something else than the recorded generation %d", in.State.Generation)
	}
	if in.State != nil {
		c.Settings = changedSettings(in.State.Runtime, wantedSettings(in))
	}
	return c
}

func changedSettings(before, after spec.Runtime) []Setting {
	var changed []Setting
	b, a := settingsOf(before), settingsOf(after)
	for i := range b {
		if b[i].value != a[i].value {
			changed = append(changed, Setting{b[i].name, b[i].value, a[i].value})
		}
	}
	return changed
}

type setting struct {
	name  string
	value any
}

func settingsOf(r spec.Runtime) []setting {
	network, dns, metrics := "", "", ""
	if r.Network != (netip.Prefix{}) {
		network = r.Network.String()
	}
	if r.DNSAddress.IsValid() {
		dns = r.DNSAddress.String()
	}
	if r.MetricsAddress.IsValid() {
		metrics = r.MetricsAddress.String()
	}
	return []setting{
		{"dns_address", dns}, {"expose", r.Expose}, {"loops", float64(r.Loops)},
		{"metrics_address", metrics}, {"network", network}, {"port_offset", float64(r.PortOffset)},
	}
}

// outputChanges compares outputs, and returns them as they are to be recorded:
// with a keyed digest in place of what is sensitive. A plan for a part of the
// configuration leaves them as they are.
func (p *Plan) outputChanges(in Input) (changes []OutputChange, after []spec.Output, err error) {
	var before []spec.Output
	if in.State != nil {
		before = in.State.Outputs
	}
	switch {
	case len(in.Targets) > 0:
		return nil, before, nil
	case in.recorded:
		after = in.Config.Outputs // as they were recorded
	case in.Config != nil && !in.Destroy:
		if after, err = p.sealed(in.Config.Outputs, in.Key); err != nil {
			return nil, nil, err
		}
	}
	find := func(list []spec.Output, name string) *spec.Output {
		i := slices.IndexFunc(list, func(o spec.Output) bool { return o.Name == name })
		if i < 0 {
			return nil
		}
		return &list[i]
	}
	for i := range after {
		b := find(before, after[i].Name)
		switch {
		case b == nil:
			changes = append(changes, outputChange(Create, &spec.Output{}, &after[i]))
		case !equal(b.Value, after[i].Value) || b.Sensitive != after[i].Sensitive || b.Description != after[i].Description:
			changes = append(changes, outputChange(Update, b, &after[i]))
		}
	}
	for i := range before {
		if find(after, before[i].Name) == nil {
			changes = append(changes, outputChange(Delete, &before[i], &spec.Output{Name: before[i].Name}))
		}
	}
	slices.SortFunc(changes, func(a, b OutputChange) int { return strings.Compare(a.Name, b.Name) })
	return changes, after, nil
}

func outputChange(action Action, before, after *spec.Output) OutputChange {
	c := OutputChange{Name: after.Name, Action: action, Before: before.Value, After: after.Value, Sensitive: before.Sensitive || after.Sensitive}
	if c.Sensitive {
		c.Before, c.After = nil, nil
	}
	return c
}

// sealed replaces sensitive values by their digests, keeps them among the plan's secrets as
// JSON, and sorts by name.
func (p *Plan) sealed(outputs []spec.Output, key []byte) ([]spec.Output, error) {
	result := slices.Clone(outputs)
	for i := range result {
		if !result[i].Sensitive {
			continue
		}
		text, err := json.Marshal(result[i].Value)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", result[i].Name, err)
		}
		digest := spec.SecretDigest(key, string(text))
		p.keep(digest, string(text))
		result[i].Value = digest
	}
	slices.SortFunc(result, func(a, b spec.Output) int { return strings.Compare(a.Name, b.Name) })
	return result, nil
}
