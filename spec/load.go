package spec

import (
	"fmt"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Options are what a configuration depends on besides its files.
type Options struct {
	Vars       []string // "name=value", as given to -var; the strongest source
	VarFiles   []string // relative to the folder
	Environ    []string // os.Environ(): SLBCTL_VAR_name; the weakest source
	PortOffset *int     // wins over the runtime block
	Recorded   Recorded
	Now        time.Time // that the expiry of certificates is held against; zero = it is not
}

// Recorded is what earlier applies decided and this one keeps.
type Recorded struct {
	Seed uint64
	// Addresses holds every recorded one by resource address, also of resources
	// that the files no longer have: no other resource gets it.
	Addresses    map[string]netip.Addr
	Replacements map[string]int
	// IDs holds those of all recorded resources by address: a resource that was moved
	// keeps the one that it got under its first address.
	IDs map[string]string
}

// identity is the id of a resource and how often it was replaced: as recorded, or of
// a new one the first id that no other has.
func (l *loader) identity(address string) (id string, replacements int) {
	replacements = l.opt.Recorded.Replacements[address]
	if id = l.opt.Recorded.IDs[address]; id != "" {
		return id, replacements
	}
	if l.taken == nil { // few plans have anything new
		l.taken = make(map[string]bool, len(l.opt.Recorded.IDs))
		for _, id := range l.opt.Recorded.IDs {
			l.taken[id] = true
		}
	}
	return FreeID(address, replacements, l.taken)
}

// loader carries one Load through its strata.
type loader struct {
	dir     string
	opt     Options
	reports *reports
	files   *folder
	base    *hcl.EvalContext // functions only

	root     *module
	sources  map[string]*module      // what is declared in the folders of modules, by their paths
	settings map[string][]*hcl.Block // blocks that are no resources, by kind

	runtime   Runtime
	runtimeAt *site // nil without a runtime block
	resources bound
	modules   bound
	objects   map[string]*object
	byID      map[string]*object
	taken     map[string]bool // ids of recorded resources; nil until one is new
	moves     []Move
	removals  []Removal
	from      map[string]hcl.Range // where they say what they are about
	inner     map[string]*site     // of listeners, records and balancers that are expected something, by address
	allocated bool                 // addresses are known, everything can be evaluated
	trial     *loader              // that reads ahead; nil until there is something
	stack     []string             // what is being evaluated, for cycles
	secrets   map[string]string    // sensitive texts in resources, by what stands for them
}

// recoverPanics turns a bug into a message for the user. Tests switch it off.
var recoverPanics = true

// Load reads the *.slb.hcl and *.slb.json files of a folder as one configuration.
// The Config is nil when the diagnostics have errors.
func Load(dir string, opt Options) (config *Config, diags Diagnostics) {
	l := newLoader(dir, opt)
	defer l.files.close()
	if recoverPanics {
		defer func() {
			if p := recover(); p != nil {
				l.reports.general("Internal error", fmt.Sprintf("Reading the configuration failed: %v.\n%s", p, debug.Stack()),
					"This is a bug in slbctl. Please report it with the configuration.")
				config, diags = nil, l.reports.sorted()
			}
		}()
	}
	names, err := configFiles(dir)
	switch {
	case err != nil:
		l.reports.general("Unreadable folder", err.Error()+".", "")
	case len(names) == 0:
		l.reports.general("No configuration", fmt.Sprintf("There is no *.slb.hcl file in %s.", dir),
			"Run slbctl init for a configuration to begin with.")
	default:
		sound := l.parse(l.root, names)
		if l.readModules(l.root, nil) && sound {
			config = l.build()
		}
	}
	diags = l.reports.sorted()
	if diags.HasErrors() {
		return nil, diags
	}
	return config, diags
}

func newLoader(dir string, opt Options) *loader {
	l := &loader{
		dir: dir, opt: opt, reports: newReports(), files: &folder{dir: dir},
		root: newModule("."), sources: map[string]*module{}, settings: map[string][]*hcl.Block{},
		resources: bound{what: "resources", most: maxResources}, modules: bound{what: "modules", most: maxModules},
		objects: map[string]*object{}, byID: map[string]*object{}, inner: map[string]*site{}, secrets: map[string]string{},
	}
	l.base = &hcl.EvalContext{Functions: l.functions()}
	return l
}

func configFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && !e.IsDir() && (strings.HasSuffix(name, ".slb.hcl") || strings.HasSuffix(name, ".slb.json")) {
			names = append(names, name)
		}
	}
	return names, nil
}

// build evaluates the parsed blocks, stratum by stratum.
func (l *loader) build() *Config {
	l.assignVariables()
	l.readRuntime()
	l.readMoves()
	modules := l.expandModules(l.root)
	var definitions []*definition
	for _, m := range modules {
		definitions = append(definitions, m.sortedDefinitions()...)
	}
	for _, def := range definitions {
		l.expand(def, def.block.DefRange)
	}
	l.allocate(definitions)
	l.allocated = true
	for _, m := range modules {
		l.checkInputs(m)
	}

	c := &Config{Seed: l.opt.Recorded.Seed, Runtime: l.runtime, Moves: l.moves, Removals: l.removals, ModuleFolders: sortedKeys(l.sources)}
	for _, def := range definitions {
		for _, o := range def.objects {
			if l.evaluate(o) {
				def.kind.add(c, o.target)
			}
		}
	}
	c.sort()
	c.Secrets = l.secrets
	c.Seal(nil)
	for _, m := range modules {
		l.checkLocals(m)
		l.checkOutputs(m)
	}
	simulations, tests := l.readSimulations(c), l.readTests(c)
	for _, name := range sortedKeys(l.root.outputs) {
		if out, ok := l.readOutput(l.root.outputs[name]); ok {
			c.Outputs = append(c.Outputs, out)
		}
	}
	if !l.reports.failed() {
		l.checkMoves(c)
		l.check(c)
		for i, s := range simulations {
			l.checkSimulation(c, c.Simulations[i], s)
		}
		for i, s := range tests {
			l.checkTest(c, c.Tests[i], s)
		}
		slices.SortFunc(c.Tests, func(a, b *Test) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(c.Simulations, func(a, b *Simulation) int { return strings.Compare(a.Name, b.Name) })
	}
	return c
}

// sortedDefinitions gives the blocks of resources in the order of kinds, then names.
func (m *module) sortedDefinitions() []*definition {
	var out []*definition
	for _, k := range resourceKinds {
		names := sortedKeys(m.definitions[k.name])
		for _, name := range names {
			out = append(out, m.definitions[k.name][name])
		}
	}
	return out
}

// sort puts everything into the order that Config promises.
func (c *Config) sort() {
	for _, k := range resourceKinds {
		for _, owner := range k.owners(c) {
			k.sort(owner)
		}
	}
}

// readRuntime evaluates the runtime block, or takes its defaults.
func (l *loader) readRuntime() {
	runtimeBlock.reset(&l.runtime)
	blocks := l.settings[runtimeBlock.name]
	if len(blocks) > 1 {
		l.reports.error(blocks[1].DefRange, "Duplicate block", fmt.Sprintf("A configuration has one runtime block; there is one at %s line %d.",
			blocks[0].DefRange.Filename, blocks[0].DefRange.Start.Line), "")
	}
	if len(blocks) > 0 {
		l.runtimeAt, _ = l.setting(runtimeBlock, blocks[0], &l.runtime)
	}
	if o := l.opt.PortOffset; o != nil {
		l.runtime.PortOffset = *o
		if *o < 0 || *o > maxPortOffset {
			l.reports.general("Invalid port offset", fmt.Sprintf("The port offset must be a whole number from 0 to %d, not %d.", maxPortOffset, *o), "")
			l.runtime.PortOffset = 0
		}
	}
}

// setting decodes a top-level block that is not a resource.
func (l *loader) setting(b *block, in *hcl.Block, target any) (*site, bool) {
	d := &decoder{l: l, scope: &scope{module: l.root}, ok: true}
	body, ok := d.expanded(b, in.Body, isDynamic(in.Body))
	if !ok {
		return nil, false
	}
	s := d.block(b, body, nil, target, in.DefRange, in.LabelRanges)
	for i := range b.labels {
		d.value(b, &b.labels[i], cty.StringVal(in.Labels[i]), in.LabelRanges[i], nil, target)
	}
	return s, d.ok
}

func (l *loader) readSimulations(c *Config) []*site {
	var sites []*site
	seen := map[string]*hcl.Block{}
	for _, block := range l.settings[simulationBlock.name] {
		sim := &Simulation{}
		s, ok := l.setting(simulationBlock, block, sim)
		if earlier := seen[block.Labels[0]]; earlier != nil {
			l.duplicate("simulation", block.Labels[0], block.DefRange, earlier.DefRange)
			continue
		}
		seen[block.Labels[0]] = block
		if ok {
			c.Simulations = append(c.Simulations, sim)
			sites = append(sites, s)
		}
	}
	return sites
}

// objectOf finds the resource that an expression's value is.
func (l *loader) objectOf(v cty.Value) *object {
	if v.IsNull() || !v.Type().IsObjectType() || !v.Type().HasAttribute("id") {
		return nil
	}
	id := v.GetAttr("id")
	if id.IsMarked() || !id.IsKnown() || id.IsNull() || id.Type() != cty.String {
		return nil
	}
	return l.byID[id.AsString()]
}

// protocol is what an instance speaks. Only that argument of it is evaluated, so
// that a page may show the URL of the balancer before it.
func (l *loader) protocol(address string) string {
	o := l.objects[address]
	if o == nil {
		return ""
	}
	switch {
	case o.state == done:
		return o.target.(*Instance).Protocol
	case o.def.read != nil:
		return o.def.read.(*Instance).Protocol
	}
	i := &Instance{Protocol: ProtocolHTTP}
	if a := argument(o.def.block.Body, "protocol"); a != nil {
		d := &decoder{l: l, scope: o.scope()}
		d.attribute(o.def.kind.block, o.def.kind.attribute("protocol"), a, i, nil)
	}
	return i.Protocol
}
