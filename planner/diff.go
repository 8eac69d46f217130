package planner

import (
	"maps"
	"slices"
	"strconv"

	"slbctl/spec"
)

// edit is one difference inside a resource's attributes.
type edit struct {
	path          string // health_check.interval, backend["instance.ECS01"].weight
	before, after any    // absent = not there on this side
}

// absent tells an attribute that is not there from one that is null.
type nothing struct{}

var absent any = nothing{}

// view is a resource's attributes with what the plan also compares.
func view(r *spec.Resource) map[string]any {
	if !r.PreventDestroy {
		return r.Attributes
	}
	v := maps.Clone(r.Attributes)
	if v == nil {
		v = map[string]any{}
	}
	v[preventDestroyPath] = true
	return v
}

func changedPaths(before, after *spec.Resource) []string {
	if before.PreventDestroy == after.PreventDestroy && equal(before.Attributes, after.Attributes) {
		return nil
	}
	var paths []string
	for _, e := range compare(view(before), view(after)) {
		paths = append(paths, e.path)
	}
	return paths
}

// forcedBy names the changed attributes that a resource cannot change in place.
func forcedBy(before, after *spec.Resource) string {
	names := ""
	for _, key := range sortedKeys(before.Attributes, after.Attributes) {
		if spec.ForcesReplacement(after.Kind, key) && !equal(before.Attributes[key], after.Attributes[key]) {
			if names != "" {
				names += ", "
			}
			names += key
		}
	}
	return names
}

// compare lists the differences of two attribute maps, sorted by path.
func compare(before, after map[string]any) []edit {
	return compareMaps(nil, "", before, after)
}

func compareMaps(edits []edit, prefix string, before, after map[string]any) []edit {
	for _, key := range sortedKeys(before, after) {
		b, a := lookup(before, key), lookup(after, key)
		path := key
		if prefix != "" {
			path = prefix + "." + key
			if !isWord(key) {
				path = prefix + "[" + strconv.Quote(key) + "]"
			}
		}
		edits = compareValues(edits, path, b, a)
	}
	return edits
}

func compareValues(edits []edit, path string, before, after any) []edit {
	if equal(before, after) {
		return edits
	}
	if b, ok := before.(map[string]any); ok {
		if a, ok := after.(map[string]any); ok {
			return compareMaps(edits, path, b, a)
		}
	}
	b, bok := members(before)
	a, aok := members(after)
	if bok && aok && len(b)+len(a) > 0 {
		return compareMembers(edits, path, b, a)
	}
	return append(edits, edit{path, before, after})
}

// member is an element of a list that has a name in it: a backend, a page.
type member struct {
	name  string
	value map[string]any
}

// members returns the elements of a list of objects by their names, if each has
// one of its own. An attribute that is not there counts as an empty list.
func members(v any) ([]member, bool) {
	if v == absent {
		return nil, true
	}
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	result := make([]member, 0, len(list))
	seen := make(map[string]int, len(list))
	for _, e := range list {
		object, _ := e.(map[string]any)
		name := nameOf(object)
		if name == "" {
			return nil, false
		}
		result = append(result, member{name, object})
		seen[name]++
	}
	for i, m := range result {
		if seen[m.name] > 1 { // an instance listed twice: its port tells them apart
			port, _ := m.value["port"].(float64)
			m.name += ":" + strconv.Itoa(int(port))
			if seen[m.name]++; seen[m.name] > 1 {
				return nil, false
			}
			result[i] = m
		}
	}
	return result, true
}

// nameOf is how users call an element: a backend by its server, a page by its path,
// a certificate by its domain, an expectation by its name.
func nameOf(object map[string]any) string {
	if instance, _ := object["instance"].(string); instance != "" {
		return instance
	}
	if address, _ := object["address"].(string); address != "" {
		port, _ := object["port"].(float64)
		return address + ":" + strconv.Itoa(int(port))
	}
	if path, _ := object["path"].(string); path != "" {
		return path
	}
	if domain, _ := object["domain"].(string); domain != "" {
		return domain
	}
	name, _ := object["name"].(string)
	return name
}

func compareMembers(edits []edit, path string, before, after []member) []edit {
	named := make(map[string]map[string]any, len(after))
	for _, m := range after {
		named[m.name] = m.value
	}
	var stay []string
	for _, b := range before {
		at := path + "[" + strconv.Quote(b.name) + "]"
		a, ok := named[b.name]
		if !ok {
			edits = append(edits, edit{at, b.value, absent})
			continue
		}
		stay = append(stay, b.name)
		edits = compareMaps(edits, at, b.value, a)
		delete(named, b.name)
	}
	var order []string
	for _, a := range after {
		if _, isNew := named[a.name]; isNew {
			edits = append(edits, edit{path + "[" + strconv.Quote(a.name) + "]", absent, a.value})
			continue
		}
		order = append(order, a.name)
	}
	if !slices.Equal(stay, order) {
		edits = append(edits, edit{path + " order", toList(stay), toList(order)})
	}
	return edits
}

func toList(names []string) []any {
	list := make([]any, len(names))
	for i, n := range names {
		list[i] = n
	}
	return list
}

// lookup returns an attribute, or absent. What is not set is recorded too, as null,
// as an empty text or, of ports and limits, as 0: to whoever reads a plan it is absent,
// as is a protocol that nobody had to choose.
func lookup(m map[string]any, key string) any {
	if v, ok := m[key]; ok && !isUnset(key, v) {
		return v
	}
	return absent
}

func isUnset(key string, value any) bool {
	switch value {
	case nil, "":
		return true
	case spec.BackendHTTP1:
		return key == "protocol" // what nearly every server speaks
	case 0.0:
		return key == "port" || key == "backend_port" || key == "max_connections"
	}
	return false
}

func sortedKeys(a, b map[string]any) []string {
	keys := make([]string, 0, max(len(a), len(b)))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func isWord(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// equal compares values as encoding/json decodes them. It is reflect.DeepEqual
// for those types, at a fraction of its cost.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			w, ok := b[k]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}
