package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// moduleNeed is which outputs of a module block an expression refers to.
type moduleNeed struct {
	lookup
	outputs []string // nil = all
}

// module notes a reference to a module block. Only the outputs that are named are
// evaluated, so that two modules may each use what the other offers.
func (e *environment) module(ref lookup) bool {
	if !e.l.expandCall(ref.call, ref.rng) {
		return false
	}
	e.l.followIndex(&ref, e.expr, e.scope)
	if !e.l.checkReference(&ref) {
		return false
	}
	outputs := sortedKeys(ref.call.folder.outputs)
	if ref.attr != "" {
		outputs = []string{ref.attr}
	}
	e.calls = append(e.calls, moduleNeed{ref, outputs})
	return true
}

// fetchModules evaluates the outputs that are needed, and records what they refer to.
func (e *environment) fetchModules() bool {
	named := map[*call][]string{}
	for _, n := range e.calls {
		named[n.call] = append(named[n.call], n.outputs...)
	}
	for _, n := range e.calls {
		outputs := named[n.call]
		if outputs != nil {
			slices.Sort(outputs)
			v, ok := e.l.moduleValue(n, slices.Compact(outputs))
			if !ok {
				return false
			}
			e.add(moduleRoot, n.call.name, v)
			named[n.call] = nil
		}
		modules := n.call.modules
		if n.key != cty.NilVal {
			at := n.call.find(n.key)
			modules = modules[max(at, 0) : at+1]
		}
		for _, m := range modules {
			for _, name := range n.outputs {
				r := e.l.output(m, m.outputs[name], n.rng)
				r.use(e.scope)
				if !e.grow(r.size, n.rng) {
					return false
				}
			}
		}
	}
	return true
}

// moduleValue is what a module block stands for in an expression: one object of outputs,
// a tuple of them with count, an object of them with for_each. It is built once for each
// choice of outputs, so that a reference costs the same however many modules there are.
func (l *loader) moduleValue(n moduleNeed, outputs []string) (cty.Value, bool) {
	c := n.call
	cache := &c.values[0]
	if l.allocated {
		cache = &c.values[1]
	}
	choice := strings.Join(outputs, ",")
	if v, known := (*cache)[choice]; known {
		return v, true
	}
	values := make([]cty.Value, len(c.modules))
	for i, m := range c.modules {
		attrs := make(map[string]cty.Value, len(outputs))
		for _, name := range outputs {
			r := l.output(m, m.outputs[name], n.rng)
			if r.state != done {
				return cty.DynamicVal, false
			}
			attrs[name] = r.value
		}
		values[i] = cty.ObjectVal(attrs)
	}
	if *cache == nil {
		*cache = map[string]cty.Value{}
	}
	v := c.shape(values)
	(*cache)[choice] = v
	return v, true
}

// checkOutput checks that a module has the output that a reference is to.
func (l *loader) checkOutput(ref *lookup) bool {
	outputs := ref.call.folder.outputs
	if ref.attr == "" || outputs[ref.attr] != nil {
		return true
	}
	names := sortedKeys(outputs)
	hint := didYouMean(ref.attr, names)
	if hint == "" {
		hint = fmt.Sprintf("Write output %q { value = ... } in %s.", ref.attr, ref.call.folder.source)
		if len(names) > 0 {
			hint = "It has " + strings.Join(names, ", ") + "."
		}
	}
	l.reports.error(ref.rng, "No such output", fmt.Sprintf("%s has no output %q.", ref.call.address, ref.attr), hint)
	return false
}
