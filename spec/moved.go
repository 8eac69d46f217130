package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Move says that what is recorded as From is To from now on: a resource, one of a
// block with count or for_each, or all of such a block.
type Move struct{ From, To string }

// NewMove is a move from one address to another, if there can be one.
func NewMove(from, to string) (Move, error) {
	from, fromKind, err := CanonicalAddress(from)
	if err != nil {
		return Move{}, err
	}
	to, toKind, err := CanonicalAddress(to)
	if err != nil {
		return Move{}, err
	}
	m := Move{from, to}
	if _, detail := m.wrong(fromKind, toKind); detail != "" {
		return Move{}, errors.New(detail)
	}
	return m, nil
}

// wrong says why a resource of one kind cannot move so to one of another kind.
func (m Move) wrong(fromKind, toKind string) (summary, detail string) {
	switch {
	case fromKind != toKind:
		return "Wrong kind", fmt.Sprintf("%s cannot become %s.", capital(article(fromKind)), article(toKind))
	case fixedNames[fromKind] != "" && (Parent(m.From) != "" || nameIn(m.From) != nameIn(m.To)):
		return "Not to be moved", fixedNames[fromKind]
	case Parent(m.From) != Parent(m.To):
		return "Not to be moved", "A rule stays in its listener. Of a balancer that is moved itself, write the new address."
	case m.From == m.To:
		return "Not moved", "from and to are the same."
	}
	return "", ""
}

// Removal says that a resource is gone from the files on purpose.
type Removal struct {
	From    string
	Destroy bool // false = it runs on as it is, and no plan is about it any more
}

// movedBlock and removedBlock are Terraform's. from and to are addresses, which are
// not evaluated.
var movedBlock = &block{
	name: "moved",
	attributes: []attribute{
		bind("from", text, func(m *Move) *string { return &m.From }, required),
		bind("to", text, func(m *Move) *string { return &m.To }, required),
	},
}

var removedBlock = &block{
	name:       "removed",
	attributes: []attribute{bind("from", text, func(r *Removal) *string { return &r.From }, required)},
	blocks: []child{one(&block{
		name:       "lifecycle",
		attributes: []attribute{bind("destroy", boolean, func(r *Removal) *bool { return &r.Destroy }, fallback(true))},
	}, func(r *Removal) *Removal { return r })},
}

// fixedNames are the kinds whose name is what the resource is: under another name it is
// another one.
var fixedNames = map[string]string{
	"listener": "A listener is its protocol and port: another one is another listener.",
	"dns_zone": "A zone is its domain: another domain is another zone.",
	"record":   "A record is its host and type: others are another record.",
}

// readMoves evaluates moved and removed blocks. They are about addresses only, so this
// comes before anything is evaluated.
func (l *loader) readMoves() {
	from := map[string]hcl.Range{}
	once := func(address string, rng hcl.Range) bool {
		earlier, twice := from[address]
		if twice {
			l.reports.error(rng, "Moved twice", fmt.Sprintf("%s stands in another moved or removed block, at %s line %d.", address, earlier.Filename, earlier.Start.Line), "")
		}
		from[address] = rng
		return !twice
	}
	for _, block := range l.settings[movedBlock.name] {
		var m Move
		var fromKind, toKind string
		if !l.addressArgument(block, "from", &m.From, &fromKind) || !l.addressArgument(block, "to", &m.To, &toKind) {
			continue
		}
		to := argument(block.Body, "to").Expr.Range()
		summary, detail := m.wrong(fromKind, toKind)
		switch {
		case detail != "":
			l.reports.error(to, summary, detail, "")
		case once(m.From, argument(block.Body, "from").Expr.Range()):
			l.moves = append(l.moves, m)
		}
	}
	for _, m := range l.moves {
		if circular(m, l.moves) {
			l.reports.error(from[m.From], "Moved in a circle", fmt.Sprintf("Following moved blocks from %s leads back to it.", m.From), "")
			l.moves = nil
			break
		}
	}
	for _, block := range l.settings[removedBlock.name] {
		r := Removal{}
		_, ok := l.setting(removedBlock.withoutAddresses(), block, &r)
		if ok && l.addressArgument(block, "from", &r.From, new(string)) && once(r.From, argument(block.Body, "from").Expr.Range()) {
			l.removals = append(l.removals, r)
		}
	}
	l.from = from
	l.opt.Recorded = l.opt.Recorded.moved(l.moves)
}

// withoutAddresses is the block as it is evaluated.
func (b *block) withoutAddresses() *block {
	same := *b
	same.attributes = nil
	return &same
}

// addressArgument reads an argument that is the address of a resource.
func (l *loader) addressArgument(block *hcl.Block, name string, address, kind *string) bool {
	a := argument(block.Body, name)
	if a == nil {
		l.reports.error(block.DefRange, "Missing argument", fmt.Sprintf("A %s block needs the argument %s.", block.Type, name),
			fmt.Sprintf("Write %s = instance.NAME.", name))
		return false
	}
	t, diags := hcl.AbsTraversalForExpr(a.Expr)
	var err error
	if !diags.HasErrors() {
		*address, *kind, err = CanonicalAddress(traversalText(t))
	}
	if diags.HasErrors() || err != nil {
		l.reports.error(a.Expr.Range(), "Not an address", fmt.Sprintf("%s must be the address of a resource.", name),
			"Write instance.NAME, instance.NAME[0] or load_balancer.NAME.listener[\"http:80\"].rule[\"NAME\"].")
		return false
	}
	return true
}

func circular(start Move, moves []Move) bool {
	at := start
	for range moves {
		i := slices.IndexFunc(moves, func(m Move) bool { return m.From == at.To })
		if i < 0 {
			return false
		}
		if at = moves[i]; at == start {
			return true
		}
	}
	return true // it ends in a circle of others
}

// outer is the module that an address is in, or that a module is in.
func outer(address string) string {
	module, rest := cutModule(address)
	if rest != "" {
		return module
	}
	if block := BlockOf(module); block != "" {
		module = block
	}
	return strings.TrimSuffix(module[:strings.LastIndex(module, moduleRoot+".")], ".")
}

// checkMoves refuses what is moved away or removed and still there.
func (l *loader) checkMoves(c *Config) {
	if len(l.from) == 0 {
		return
	}
	there := map[string]bool{}
	for _, k := range resourceKinds {
		for _, owner := range k.owners(c) {
			for _, target := range k.list(owner) {
				address := k.meta(target).Address
				for in := address; in != ""; in = outer(in) {
					there[in] = true
					if block := BlockOf(in); block != "" {
						there[block+"[]"] = true
					}
				}
			}
		}
	}
	still := func(address, summary string) {
		l.reports.error(l.from[address], summary, fmt.Sprintf("The configuration still has %s.", address), "Remove its block, or this one.")
	}
	for _, m := range l.moves {
		if there[m.From] || there[m.From+"[]"] && BlockOf(m.To) == "" {
			still(m.From, "Moved and still there")
		}
	}
	for _, r := range l.removals {
		if there[r.From] || there[r.From+"[]"] {
			still(r.From, "Removed and still there")
		}
	}
}
