package spec

import (
	"net/netip"
	"slices"

	"github.com/zclconf/go-cty/cty"
)

// kind is a type of resource: its table, and where its resources lie in a Config.
type kind struct {
	*block
	parent *kind // of a listener, rule or record
	// defaults are what is recorded of resources whose blocks say nothing, besides
	// their labels: for each protocol of a listener.
	defaults []map[string]any
	make     func() any
	meta     func(target any) *Meta
	// list gives the resources of this kind inside a Config, or inside the parent
	// resource; add puts one there.
	list func(owner any) []any
	add  func(owner, target any)
	sort func(owner any)
	// ip is set for kinds that an address of the network is allocated to.
	ip func(target any) (address *netip.Addr, pinned *bool)
	// early names the attributes that are known once addresses are allocated,
	// without evaluating the rest of the block.
	early []string
	// derive computes attributes of expressions that are not recorded.
	derive func(l *loader, parent, target any) map[string]cty.Value
	// label checks the name in the block's header.
	label func(name string) error
}

// resourceKinds are the kinds that a plan knows, in the order of Resources.
// A parent stands before its children.
var resourceKinds []*kind

// settingBlocks are top-level blocks of the same machinery that are not resources.
var settingBlocks []*block

// init fills the registry. A composite literal would be an initialization cycle:
// the checks of a kind need addresses, and addresses know the kinds.
func init() {
	resourceKinds = []*kind{
		instanceKind,
		serverGroupKind,
		aclKind,
		certificateKind,
		caCertificateKind,
		tlsCipherPolicyKind,
		loadBalancerKind,
		listenerKind,
		ruleKind,
		dnsZoneKind,
		recordKind,
	}
	settingBlocks = []*block{runtimeBlock, simulationBlock, testBlock, movedBlock, removedBlock}
}

// laterKinds are top-level blocks of the language that are not built yet.
var laterKinds = []string{"state"}

// kindOf makes a kind of a table and the list that holds its resources. The samples
// are resources that differ in their defaults, with the labels that make them differ.
func kindOf[O, T any](b *block, list func(*O) *[]*T, meta func(*T) *Meta, samples ...*T) *kind {
	if len(samples) == 0 {
		samples = []*T{new(T)}
	}
	defaults := make([]map[string]any, len(samples))
	for i, sample := range samples {
		b.reset(sample)
		b.settle(nil, sample)
		defaults[i] = b.encode(sample)
		for _, label := range b.labels {
			delete(defaults[i], label.name)
		}
	}
	return &kind{
		block:    b,
		defaults: defaults,
		make:     func() any { return new(T) },
		meta:     func(target any) *Meta { return meta(target.(*T)) },
		list: func(owner any) []any {
			targets := *list(owner.(*O))
			out := make([]any, len(targets))
			for i, t := range targets {
				out[i] = t
			}
			return out
		},
		add: func(owner, target any) {
			l := list(owner.(*O))
			*l = append(*l, target.(*T))
		},
		sort: func(owner any) {
			slices.SortFunc(*list(owner.(*O)), func(a, b *T) int {
				return CompareAddresses(meta(a).Address, meta(b).Address)
			})
		},
	}
}

func kindNamed(name string) *kind {
	i := slices.IndexFunc(resourceKinds, func(k *kind) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return resourceKinds[i]
}

// children are the kinds whose resources stand inside this one's.
func (k *kind) children() []*kind {
	var out []*kind
	for _, c := range resourceKinds {
		if c.parent == k {
			out = append(out, c)
		}
	}
	return out
}

// resourceAttributes are the arguments that every top-level resource has.
func resourceAttributes[T any](meta func(*T) *Meta, own ...attribute) []attribute {
	return append([]attribute{
		{name: "count", typ: cty.Number, repeats: true, schema: map[string]any{"type": "integer", "minimum": 0}},
		{name: "for_each", typ: cty.DynamicPseudoType, repeats: true, schema: map[string]any{"type": []string{"object", "array"}}},
		bind("tags", tags, func(t *T) *map[string]string { return &meta(t).Tags }),
	}, own...)
}

// resourceBlocks are the inner blocks that every top-level resource has.
func resourceBlocks[T any](meta func(*T) *Meta, own ...child) []child {
	lifecycle := one(&block{
		name: "lifecycle",
		attributes: []attribute{
			bind("prevent_destroy", boolean, func(m *Meta) *bool { return &m.PreventDestroy }, fallback(false)),
			bind("ignore_changes", list(text, 0), func(m *Meta) *[]string { return &m.IgnoreChanges }, names, fallback([]any{})),
		},
		finish: finishLifecycle,
	}, meta)
	lifecycle.unrecorded = true
	return append([]child{lifecycle}, own...)
}
