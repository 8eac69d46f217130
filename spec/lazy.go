package spec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// lazy is the value of a local, of a module's variable or of an output. It is evaluated
// when first asked for, and again once addresses are allocated if it was asked for before
// and refers to a resource.
type lazy struct {
	results [2]lazyResult // before and after allocation
}

type lazyResult struct {
	state progress
	value cty.Value
	size  int
	refs  map[string]bool
}

// force gives the value, for a reference at from. What is named name stands at rng and is
// computed in the scope own, the first time.
func (l *loader) force(x *lazy, name string, rng, from hcl.Range, own scope, compute func(own *scope) (cty.Value, bool)) *lazyResult {
	r := &x.results[0]
	if l.allocated && (r.state != done || len(r.refs) > 0) {
		r = &x.results[1]
	}
	if r.state == done || r.state == failed {
		return r
	}
	r.value = cty.DynamicVal
	leave, ok := l.enter(&r.state, name, from)
	if !ok {
		return &lazyResult{value: cty.DynamicVal, state: failed}
	}
	own.refs = nil
	r.value, ok = compute(&own)
	r.refs = own.refs
	if r.size = sizeOf(r.value, maxText); r.size > maxText {
		l.reports.error(rng, "Value too large", fmt.Sprintf("%s holds more than %d MiB.", name, maxText>>20), "")
		ok = false
	}
	leave(ok)
	return r
}

// use records what a value refers to as used in a scope as well.
func (r *lazyResult) use(s *scope) {
	for address := range r.refs {
		s.record(address)
	}
}
