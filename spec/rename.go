package spec

import (
	"maps"
	"slices"
	"strings"
)

// moved returns what is recorded under the new addresses.
func (r Recorded) moved(moves []Move) Recorded {
	if len(moves) == 0 {
		return r
	}
	known := sortedKeys(r.IDs)
	renamed := Renames(known, moves)
	r.Addresses, r.Replacements, r.IDs = renameKeys(r.Addresses, renamed), renameKeys(r.Replacements, renamed), renameKeys(r.IDs, renamed)
	return r
}

func renameKeys[V any](m map[string]V, renamed map[string]string) map[string]V {
	out := make(map[string]V, len(m))
	for key, v := range m {
		if to, ok := renamed[key]; ok {
			key = to
		}
		out[key] = v
	}
	return out
}

// BlockOf cuts the index off an address: instance.web[2] is one of instance.web. For an
// address without one it is empty: brackets may also hold the name itself, as those of
// listeners and zones do.
func BlockOf(address string) string {
	if !strings.HasSuffix(address, "]") || Parent(address) != "" {
		return ""
	}
	begin := strings.LastIndexByte(address, '[')
	if strings.HasSuffix(address, `"]`) {
		begin = strings.LastIndex(address, `["`) // quotes inside of a key are escaped
	}
	block := address[:max(begin, 0)]
	if _, rest := cutModule(block); rest != "" && !strings.ContainsAny(rest, ".[") {
		return "" // a kind
	}
	return block
}

// Renames applies moves to the addresses of recorded resources and returns the new
// address of each that gets another one. Where something is recorded at that address and
// stays, the move has been done before, and what has come to the old address since stays
// there. Of two that would come to one address it is the one with fewer moves to go.
func Renames(recorded []string, moves []Move) map[string]string {
	renamed, steps := map[string]string{}, map[string]int{}
	comes := map[string]string{} // who gets an address
	for _, address := range recorded {
		to, n := follow(address, moves)
		if n == 0 {
			continue
		}
		if other := comes[to]; other != "" && steps[other] <= n {
			continue
		} else if other != "" {
			delete(renamed, other)
		}
		renamed[address], steps[address], comes[to] = to, n, address
	}
	stays := map[string]bool{}
	for settled := false; !settled; { // who stays may be in the way of others
		settled = true
		for _, address := range recorded {
			_, goes := renamed[address]
			if p := Parent(address); goes && (stays[renamed[address]] || stays[p] && p != "" && Parent(renamed[address]) != p) {
				delete(renamed, address)
				goes = false
			}
			if !goes && !stays[address] {
				stays[address], settled = true, false
			}
		}
	}
	return renamed
}

// follow applies moves to an address as long as there are some, and counts them.
func follow(address string, moves []Move) (to string, steps int) {
	to = address
	for range moves { // a chain of them is as long as that at most
		before := to
		for _, m := range moves {
			if next, ok := m.apply(before); ok {
				if to = next; m.From == before { // rather than with what it lies in
					break
				}
			}
		}
		if to == before {
			break
		}
		steps++
	}
	return to, steps
}

// apply returns the address of a resource after a move that is about it.
func (m Move) apply(address string) (string, bool) {
	rest, ok := strings.CutPrefix(address, m.From)
	if !ok {
		return "", false
	}
	whole := BlockOf(m.To) == "" // all of a block
	if rest == "" || strings.HasPrefix(rest, ".") || whole && strings.HasPrefix(rest, "[") && BlockOf(m.From) == "" {
		return m.To + rest, true
	}
	return "", false
}

// Rename returns resources under their new addresses, as Renames gives them, with all
// that refers to them: in the order of addresses, their ids as they were.
func Rename(resources []Resource, renamed map[string]string) []Resource {
	if len(renamed) == 0 {
		return resources
	}
	out := slices.Clone(resources)
	for i := range out {
		r := &out[i]
		if to := renamed[r.Address]; to != "" {
			r.Attributes = followLog(r, to)
			r.Address, r.Name = to, nameIn(to)
		}
		r.Refs = slices.Clone(r.Refs)
		for j, ref := range r.Refs {
			if to := renamed[ref]; to != "" {
				r.Refs[j] = to
			}
		}
		slices.Sort(r.Refs)
		if k := kindNamed(r.Kind); k != nil {
			r.Attributes = k.repoint(r.Attributes, renamed)
		}
	}
	slices.SortFunc(out, func(a, b Resource) int { return CompareAddresses(a.Address, b.Address) })
	return out
}

// repoint returns recorded attributes in which references have the new addresses.
func (b *block) repoint(attributes map[string]any, renamed map[string]string) map[string]any {
	out := maps.Clone(attributes)
	for i := range b.attributes {
		a := &b.attributes[i]
		if s, ok := attributes[a.name].(string); ok && a.kind != "" && renamed[s] != "" {
			out[a.name] = renamed[s]
		}
	}
	for _, c := range b.blocks {
		switch v := attributes[c.name].(type) {
		case map[string]any:
			out[c.name] = c.repoint(v, renamed)
		case []any:
			list := slices.Clone(v)
			for i, e := range list {
				if m, ok := e.(map[string]any); ok {
					list[i] = c.repoint(m, renamed)
				}
			}
			out[c.name] = list
		}
	}
	return out
}

// followLog gives a listener under a new address the access log that it has when the
// file does not say, if that is what it had under the old one.
func followLog(r *Resource, to string) map[string]any {
	log, _ := r.Attributes["access_log"].(map[string]any)
	protocol, _ := r.Attributes["protocol"].(string)
	port, _ := r.Attributes["port"].(float64)
	usual := func(address string) string {
		return accessLogs + logName(&Listener{Meta: Meta{Address: address, ID: r.ID}, Protocol: protocol, Port: uint16(port)})
	}
	if r.Kind != listenerKind.name || log == nil || log["path"] != usual(r.Address) {
		return r.Attributes
	}
	out := maps.Clone(r.Attributes)
	log = maps.Clone(log)
	log["path"] = usual(to)
	out["access_log"] = log
	return out
}
