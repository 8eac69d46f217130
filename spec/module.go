package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// maxModules bounds count and for_each of all module blocks together.
const maxModules = 10_000

// module is the names that a folder's files declare: of the configuration itself, of a
// module's folder, or of one of the modules that are made of that.
type module struct {
	turn      // of the module block, and that; the configuration itself has none
	call      *call
	address   string // module.web["a"], "" for the configuration itself
	source    string // its folder as seen from the configuration's
	variables map[string]*variable
	locals    map[string]*local
	outputs   map[string]*output
	calls     map[string]*call
	// definitions are the blocks of resources by kind, then name.
	definitions map[string]map[string]*definition
}

// call is a module block.
type call struct {
	repeated
	name      string
	arguments hcl.Attributes
	folder    *module   // what it makes modules of; nil when there is none
	modules   []*module // that it stands for

	values [2]map[string]cty.Value // before and after allocation, by the outputs in it
}

func newModule(source string) *module {
	m := &module{
		source: source, variables: map[string]*variable{}, locals: map[string]*local{}, outputs: map[string]*output{},
		calls: map[string]*call{}, definitions: map[string]map[string]*definition{},
	}
	for _, k := range resourceKinds {
		if k.parent == nil {
			m.definitions[k.name] = map[string]*definition{}
		}
	}
	return m
}

// path is what path.module and path.root stand for: folders as file() takes them.
func (m *module) path(name string) cty.Value {
	if name == "root" {
		return cty.StringVal(".")
	}
	return cty.StringVal(m.source)
}

// metaArguments are those of a module block that are no variables.
var metaArguments = []string{"source", "count", "for_each"}

// callHints are for what Terraform has in a module block besides.
var callHints = map[string]string{
	"version":    "Leave it out: a module is a folder of this machine, in the version that it has.",
	"providers":  "Leave it out: there are no providers here.",
	"depends_on": anywhereHints["depends_on"],
}

func (l *loader) declareCall(m *module, block *hcl.Block) {
	name := block.Labels[0]
	if earlier := m.calls[name]; earlier != nil {
		l.duplicate(moduleRoot, name, block.DefRange, earlier.block.DefRange)
		return
	}
	if !validIdentifier(name) || len(name) > 80 {
		l.reports.error(block.LabelRanges[0], "Invalid name", fmt.Sprintf("%q is no name for a module.", name), nameHint)
		return
	}
	c := &call{repeated: repeatable(m, moduleRoot+"."+name, block), name: name}
	m.calls[name] = c
	if native, ok := block.Body.(*hclsyntax.Body); ok {
		for _, inner := range native.Blocks {
			l.reports.error(inner.TypeRange, "Unsupported block", "A module block has arguments only.", fmt.Sprintf("Write %s = ...", inner.Type))
		}
		c.arguments = hcl.Attributes{}
		for name, a := range native.Attributes {
			c.arguments[name] = a.AsHCLAttribute()
		}
		return
	}
	arguments, diags := block.Body.JustAttributes()
	l.reports.hcl(diags)
	c.arguments = arguments
}

// checkArguments holds the arguments of a module block to the variables of its folder.
func (l *loader) checkArguments(c *call) {
	variables := c.folder.variables
	for _, name := range sortedKeys(c.arguments) {
		a := c.arguments[name]
		v := variables[name]
		switch {
		case slices.Contains(metaArguments, name):
		case v != nil:
			if v.sensitive {
				l.reports.hide(a)
			}
		default:
			hint := callHints[name]
			if hint == "" {
				hint = didYouMean(name, slices.Concat(sortedKeys(variables), metaArguments))
			}
			if hint == "" {
				hint = known("var", sortedKeys(variables))
				hint = strings.Replace(hint, "The configuration", "The module", 1)
			}
			l.reports.error(a.NameRange, "Unsupported argument", fmt.Sprintf("The module in %s has no variable %q.", c.folder.source, name), hint)
		}
	}
	for _, name := range sortedKeys(variables) {
		if v := variables[name]; v.ok && v.fallback == nil && c.arguments[name] == nil {
			l.reports.error(c.block.DefRange, "Missing argument", fmt.Sprintf("The module in %s needs the variable %s.", c.folder.source, name),
				fmt.Sprintf("Write %s = ...", name))
		}
	}
}

// expandCall evaluates count or for_each of a module block and makes its modules.
func (l *loader) expandCall(c *call, from hcl.Range) bool {
	return c.folder != nil && l.repeat(&c.repeated, &l.modules, from, func(key, each cty.Value) *turn {
		m := c.folder.instance(c, key, each)
		c.modules = append(c.modules, m)
		return &m.turn
	})
}

// expandModules gives a module and all that there is in it, in the order of their addresses.
func (l *loader) expandModules(m *module) []*module {
	all := []*module{m}
	for _, name := range sortedKeys(m.calls) {
		c := m.calls[name]
		l.expandCall(c, c.block.DefRange)
		for _, inner := range c.modules {
			all = append(all, l.expandModules(inner)...)
		}
	}
	return all
}

// instance makes one of the modules of a call out of what its folder declares.
func (m *module) instance(c *call, key, each cty.Value) *module {
	made := newModule(m.source)
	made.call, made.turn = c, turn{of: &c.repeated, key: key, each: each}
	if made.address = c.address; key != cty.NilVal {
		made.address += formatKey(key)
	}
	for name, v := range m.variables {
		own := *v
		made.variables[name] = &own
	}
	for name, x := range m.locals {
		made.locals[name] = &local{attr: x.attr}
	}
	for name, out := range m.outputs {
		own := *out
		made.outputs[name] = &own
	}
	for name, inner := range m.calls {
		own := *inner
		own.module, own.address = made, inside(made.address, inner.address)
		made.calls[name] = &own
	}
	for kind, defs := range m.definitions {
		for name, def := range defs {
			own := *def
			own.module, own.address = made, inside(made.address, def.address)
			made.definitions[kind][name] = &own
		}
	}
	return made
}

// variable gives the value of a variable and its size, for a reference at from. That of a
// module's is the argument of its call.
func (l *loader) variable(v *variable, from hcl.Range, s *scope) (value cty.Value, size int, ok bool) {
	m := s.module
	if m == l.root || !v.ok {
		return v.value, 0, v.ok
	}
	calling := scope{module: m.call.module, turn: &m.turn}
	r := l.force(&v.lazy, inside(m.address, "var."+v.name), m.placeOf(v), from, calling, func(own *scope) (cty.Value, bool) {
		return l.given(m, v, own)
	})
	r.use(s)
	return r.value, r.size, r.state == done
}

// given evaluates what a module's call says of a variable.
func (l *loader) given(m *module, v *variable, calling *scope) (cty.Value, bool) {
	a := m.call.arguments[v.name]
	if a == nil {
		if v.fallback == nil {
			return cty.DynamicVal, false // which was said
		}
		return l.finished(v, *v.fallback, m.placeOf(v))
	}
	value, ok := l.eval(a.Expr, calling)
	if ok {
		value, ok = l.convertTo(v, value, a.Expr.Range(), "The value")
	}
	if !ok {
		return cty.DynamicVal, false
	}
	return l.finished(v, value, a.Expr.Range())
}

// placeOf is where a module's variable gets its value.
func (m *module) placeOf(v *variable) hcl.Range {
	if a := m.call.arguments[v.name]; a != nil {
		return a.Expr.Range()
	}
	return v.block.DefRange
}

// checkInputs evaluates all variables of a module and holds them to their validations.
func (l *loader) checkInputs(m *module) {
	if m == l.root {
		return
	}
	s := &scope{module: m}
	for _, name := range sortedKeys(m.variables) {
		v := m.variables[name]
		if _, _, ok := l.variable(v, m.placeOf(v), s); ok {
			l.validate(m, v, m.placeOf(v))
		}
	}
}

// checkOutputs evaluates the outputs of a module that nothing uses.
func (l *loader) checkOutputs(m *module) {
	if m == l.root {
		return
	}
	for _, name := range sortedKeys(m.outputs) {
		l.output(m, m.outputs[name], m.outputs[name].block.DefRange)
	}
}
