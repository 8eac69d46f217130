package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// formatAddress is the address of a resource without count: instance.ECS01, or
// dns_zone["abc.com"] where the name is not an identifier.
func formatAddress(kind, name string) string {
	if validIdentifier(name) {
		return kind + "." + name
	}
	return fmt.Sprintf("%s[%q]", kind, name)
}

// validIdentifier reports whether a name may follow a dot. Names of ASCII letters
// are not worth the lexer.
func validIdentifier(name string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		if name[i] >= 0x80 {
			return hclsyntax.ValidIdentifier(name)
		}
		if !isIdent(name[i]) || i == 0 && !isIdentStart(name[i]) {
			return false
		}
	}
	return true
}

// CompareAddresses orders resource addresses so that runs of digits compare as
// numbers: web[2] stands before web[10].
func CompareAddresses(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if !digit(a[i]) || !digit(b[j]) {
			if a[i] != b[j] {
				return int(a[i]) - int(b[j])
			}
			i++
			j++
			continue
		}
		x, y := digits(a[i:]), digits(b[j:])
		i, j = i+len(x), j+len(y)
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	if c := (len(a) - i) - (len(b) - j); c != 0 {
		return c
	}
	return strings.Compare(a, b) // web[01] and web[1] are still two addresses
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func digits(s string) string {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return s[:n]
}

// ParseAddress checks that a text has the form of an address and gives the kind of
// the resource: instance, listener, record and so on, or module for all that one has.
func ParseAddress(s string) (kind string, err error) {
	_, kind, err = CanonicalAddress(s)
	return kind, err
}

// CanonicalAddress is an address in the one way that plans write it, and its kind.
func CanonicalAddress(s string) (address, kind string, err error) {
	t, diags := hclsyntax.ParseTraversalAbs([]byte(s), "", hcl.InitialPos)
	if diags.HasErrors() {
		return "", "", fmt.Errorf("address %q: write a resource such as instance.NAME or load_balancer.NAME.listener[\"tcp:80\"]", s)
	}
	module, rest := modulePath(t)
	if module != "" && len(rest) == 0 {
		return module, moduleRoot, nil
	}
	root := stepName(rest[0])
	if r, first := rest[0].(hcl.TraverseRoot); first {
		root = r.Name
	}
	k := kindNamed(root)
	if k == nil || k.parent != nil {
		return "", "", fmt.Errorf("address %q: there is no kind of resource %q", s, root)
	}
	if rest = rest[1:]; len(rest) == 0 || stepName(rest[0]) == "" {
		return "", "", fmt.Errorf("address %q: name the %s", s, k.name)
	}
	address = inside(module, formatAddress(root, stepName(rest[0])))
	rest = rest[1:]
	if len(rest) > 0 {
		if index, indexed := rest[0].(hcl.TraverseIndex); indexed {
			address += formatKey(index.Key)
			rest = rest[1:]
		}
	}
	for ; len(rest) > 0; rest = rest[2:] {
		inner := kindNamed(stepName(rest[0]))
		if inner == nil || inner.parent != k || len(rest) < 2 || stepName(rest[1]) == "" {
			return "", "", fmt.Errorf("address %q: after the name of a %s comes nothing%s", s, k.name, innerForms(k))
		}
		k = inner
		address += fmt.Sprintf(".%s[%q]", k.name, stepName(rest[1]))
	}
	return address, k.name, nil
}

// moduleRoot begins the addresses of what is in modules, and references to these.
const moduleRoot = "module"

// modulePath takes the modules off the beginning of an address.
func modulePath(t hcl.Traversal) (module string, rest hcl.Traversal) {
	named := func(step hcl.Traverser) bool {
		r, first := step.(hcl.TraverseRoot)
		return first && r.Name == moduleRoot || attrName(step) == moduleRoot
	}
	for len(t) > 1 && named(t[0]) && attrName(t[1]) != "" {
		module = inside(module, moduleRoot+"."+attrName(t[1]))
		var key cty.Value
		if key, t = indexOf(t[2:]); key != cty.NilVal {
			module += formatKey(key)
		}
	}
	return module, t
}

// inside is the address of what a module has, "" being the configuration itself.
func inside(module, address string) string {
	if module == "" {
		return address
	}
	return module + "." + address
}

// cutModule splits an address into that of the module that the resource is in, "" for
// none, and the resource's in there.
func cutModule(address string) (module, rest string) {
	rest = address
	for strings.HasPrefix(rest, moduleRoot+".") {
		i := len(moduleRoot) + 1
		for i < len(rest) && rest[i] != '.' && rest[i] != '[' {
			i++
		}
		if i < len(rest) && rest[i] == '[' {
			i = endOfIndex(rest, i)
		}
		if i >= len(rest) {
			return address, ""
		}
		rest = rest[i+1:]
	}
	return strings.TrimSuffix(address[:len(address)-len(rest)], "."), rest
}

// endOfIndex is the offset after the index that begins at start.
func endOfIndex(address string, start int) int {
	quoted := false
	for i := start + 1; i < len(address); i++ {
		switch {
		case quoted && address[i] == '\\':
			i++
		case address[i] == '"':
			quoted = !quoted
		case address[i] == ']' && !quoted:
			return i + 1
		}
	}
	return len(address)
}

// Module is the address of the module that a resource is in, "" for none.
func Module(address string) string {
	module, _ := cutModule(address)
	return module
}

// InModule reports whether a resource is in a module, or in one of those that a module
// block with count or for_each makes.
func InModule(address, module string) bool {
	return strings.HasPrefix(module, moduleRoot+".") && Within(address, module) && Within(Module(address), module)
}

// Within reports whether an address is another one, one of its block's with count or
// for_each, or of something that lies in it.
func Within(address, of string) bool {
	rest, ok := strings.CutPrefix(address, of)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// rootKind is the kind of the top-level block that an address begins with.
func rootKind(address string) *kind {
	_, rest := cutModule(address)
	if i := strings.IndexAny(rest, ".["); i > 0 {
		rest = rest[:i]
	}
	return kindNamed(rest)
}

// nameIn is the name in a resource's address, without an index.
func nameIn(address string) string {
	_, rest := cutModule(address)
	t, diags := hclsyntax.ParseTraversalAbs([]byte(rest), "", hcl.InitialPos)
	switch {
	case diags.HasErrors() || len(t) < 2:
		return ""
	case Parent(rest) != "":
		return stepName(t[len(t)-1])
	}
	return stepName(t[1])
}

func innerForms(k *kind) string {
	var forms strings.Builder
	for _, c := range k.children() {
		fmt.Fprintf(&forms, ", or .%s[\"%s\"]", c.name, strings.ToUpper(strings.Join(c.labelNames(), ":")))
	}
	return forms.String()
}

// ValidAddress reports what is wrong with the form of a resource address.
func ValidAddress(s string) error {
	_, err := ParseAddress(s)
	return err
}

// Parent is the address of the load balancer, listener or zone that a listener, rule
// or record belongs to, and "" for every other address.
func Parent(address string) string {
	_, rest := cutModule(address)
	end := -1
	for _, k := range resourceKinds {
		if k.parent != nil && strings.HasPrefix(rest, k.root().name) {
			// Quotes inside of a name are escaped, so this is none of its text.
			end = max(end, strings.LastIndex(rest, "."+k.name+"[\""))
		}
	}
	if end < 0 {
		return ""
	}
	return address[:len(address)-len(rest)+end]
}

// root is the kind of top-level blocks that resources of this kind stand in.
func (k *kind) root() *kind {
	for k.parent != nil {
		k = k.parent
	}
	return k
}

// NewID derives a resource's id from its address and how often it was replaced.
func NewID(address string, replacements int) string {
	sum := sha256.Sum256(strconv.AppendInt([]byte(address+"#"), int64(replacements), 10))
	_, rest := cutModule(address)
	prefix, _, _ := strings.Cut(rest, ".")
	prefix, _, _ = strings.Cut(prefix, "[")
	if inner := Parent(rest); inner != "" {
		prefix, _, _ = strings.Cut(rest[len(inner)+1:], "[")
	}
	return idPrefix[prefix] + hex.EncodeToString(sum[:8])
}

// FreeID is the id of a resource at an address that was replaced so often, or, where a
// resource that has moved away took that with it, the next one that nobody has.
func FreeID(address string, replacements int, taken map[string]bool) (id string, count int) {
	for {
		if id = NewID(address, replacements); !taken[id] {
			return id, replacements
		}
		replacements++
	}
}

// idPrefix makes ids look like the product's.
var idPrefix = map[string]string{
	"instance": "i-", "server_group": "rsp-", "load_balancer": "lb-",
	"acl": "acl-", "listener": "ls-", "rule": "rule-", "dns_zone": "dz-", "record": "rr-",
}
