package planner

import (
	"fmt"
	"slices"

	"slbctl/spec"
)

func (g *ground) destroyAll() *outcome {
	o := &outcome{next: map[string]*spec.Resource{}, why: map[string]string{}}
	for a := range g.recorded {
		o.why[a] = "everything is destroyed"
	}
	return o
}

// destroySome releases the targets, what lies inside them, and whatever uses
// their values, in turn. Members of groups leave their group.
func (g *ground) destroySome(targets []string) (*outcome, error) {
	o := &outcome{next: map[string]*spec.Resource{}, why: map[string]string{}}
	for _, a := range g.addresses {
		if r := g.recorded[a]; r != nil {
			o.next[a] = r
		}
	}
	var queue []string
	release := func(address, why string) {
		if o.next[address] != nil {
			delete(o.next, address)
			o.why[address] = why
			queue = append(queue, address)
		}
	}
	for _, t := range targets {
		release(t, "destruction was asked for")
	}
	users := g.usersByValue()
	for len(queue) > 0 {
		gone := queue[0]
		queue = queue[1:]
		for _, a := range g.children[gone] {
			release(a, "its "+kindWords(g.recorded[gone].Kind)+" is destroyed")
		}
		for _, a := range users[gone] {
			release(a, "its value uses "+gone+", which is destroyed")
		}
	}
	return o, g.leaveGroups(o)
}

// usersByValue lists, for each address, the recorded resources that use its
// value, by what is recorded or by what is wanted by now. A backend or a server
// group is referred to as a whole: that is no use of its value.
func (g *ground) usersByValue() map[string][]string {
	users := map[string][]string{}
	for _, a := range g.addresses {
		if g.recorded[a] == nil {
			continue
		}
		refs := map[string]bool{}
		for _, r := range []*spec.Resource{g.recorded[a], g.wanted[a]} {
			if r == nil || len(r.Refs) == 0 {
				continue
			}
			whole := g.pointers(r)
			for _, ref := range r.Refs {
				if _, found := slices.BinarySearch(whole, ref); !found {
					refs[ref] = true
				}
			}
		}
		for ref := range refs {
			users[ref] = append(users[ref], a)
		}
	}
	return users
}

// leaveGroups takes what is gone out of the lists of backends that stay, and
// refuses where that would leave a listener with nothing to send traffic to.
func (g *ground) leaveGroups(o *outcome) error {
	var wrong problems
	emptied := map[string]string{} // balancer -> the last backend it had
	for _, a := range g.addresses {
		r := o.next[a]
		if r == nil {
			continue
		}
		members, isGroup := r.Attributes[backendsKey].([]any)
		kept := slices.DeleteFunc(slices.Clone(members), func(m any) bool {
			return o.why[memberOf(m)] != ""
		})
		if isGroup && len(kept) < len(members) {
			last := memberOf(members[len(members)-1])
			o.next[a] = withBackends(r, kept)
			o.why[a] = "a backend of it is destroyed"
			switch {
			case r.Attributes["type"] == spec.GroupActiveStandby:
				wrong.add(fmt.Errorf("%s needs both of its backends, and %s would be destroyed: name %s as well to destroy both, or make it a vserver group first", a, goneMember(o, members), a))
			case len(kept) > 0:
			case r.Kind == kindServerGroup:
				wrong.add(leftEmpty(a, last, a))
			default:
				emptied[a] = last
			}
		}
	}
	for _, a := range g.addresses {
		if r := o.next[a]; r != nil && (r.Kind == kindListener || r.Kind == kindRule) {
			g.stillWhole(o, r, emptied, &wrong)
		}
	}
	return wrong.err()
}

// stillWhole refuses what would leave a listener or rule without what it names.
func (g *ground) stillWhole(o *outcome, r *spec.Resource, emptied map[string]string, wrong *problems) {
	group, _ := r.Attributes[serverGroupKey].(string)
	redirect, redirects := r.Attributes[redirectKey].(map[string]any)
	if last := emptied[spec.Parent(r.Address)]; r.Kind == kindListener && group == "" && !redirects && last != "" {
		wrong.add(leftEmpty(r.Address, last, r.Address))
	}
	if group != "" && o.next[group] == nil {
		wrong.add(leftEmpty(r.Address, group, r.Address))
	}
	if acl, _ := r.Attributes[aclKey].(string); acl != "" && o.next[acl] == nil {
		does := "lets clients in by"
		if r.Attributes["acl_type"] == spec.ACLBlack {
			does = "keeps clients out by"
		}
		wrong.add(fmt.Errorf("%s %s %s: name %s as well to destroy both, or take the list out of it first", r.Address, does, acl, r.Address))
	}
	g.stillSecure(o, r, wrong)
	if !redirects {
		return
	}
	for a, gone := range g.recorded {
		if gone.Kind == kindListener && o.next[a] == nil && spec.Parent(a) == balancerOf(r.Address) && gone.Attributes["port"] == redirect["port"] && understandsRequests(gone) {
			wrong.add(fmt.Errorf("%s redirects to %s: name %s as well to destroy both, or send it elsewhere first", r.Address, a, r.Address))
		}
	}
}

// stillSecure refuses what would take from an https listener what it shows to its
// clients, checks them with or talks to them by.
func (g *ground) stillSecure(o *outcome, r *spec.Resource, wrong *problems) {
	does := map[string]string{
		"certificate":       "shows its clients",
		"ca_certificate":    "checks its clients with",
		"tls_cipher_policy": "talks to its clients by",
	}
	uses := func(attributes map[string]any, name string) {
		address, _ := attributes[name].(string)
		if o.why[address] != "" && o.next[address] == nil {
			wrong.add(fmt.Errorf("%s %s %s: name %s as well to destroy both, or write another one first", r.Address, does[name], address, r.Address))
		}
	}
	for _, name := range []string{"certificate", "ca_certificate", "tls_cipher_policy"} {
		uses(r.Attributes, name)
	}
	additional, _ := r.Attributes["additional_certificate"].([]any)
	for _, a := range additional {
		attributes, _ := a.(map[string]any)
		uses(attributes, "certificate")
	}
}

func understandsRequests(listener *spec.Resource) bool {
	protocol, _ := listener.Attributes["protocol"].(string)
	return spec.L7(protocol)
}

// balancerOf is the load balancer of a listener, or of a rule's listener.
func balancerOf(address string) string {
	parent := spec.Parent(address)
	if of := spec.Parent(parent); of != "" {
		return of
	}
	return parent
}

func leftEmpty(who, gone, also string) error {
	return fmt.Errorf("%s would be left without backends when %s is destroyed: name %s as well to destroy both, or give it another backend first", who, gone, also)
}

// The attributes that hold other resources' addresses and may not run empty.
const (
	backendsKey     = "backend"
	serverGroupKey  = "server_group"
	redirectKey     = "redirect"
	aclKey          = "acl"
	kindServerGroup = "server_group"
	kindListener    = "listener"
	kindRule        = "rule"
)

func memberOf(backend any) string {
	m, _ := backend.(map[string]any)
	address, _ := m["instance"].(string)
	return address
}

// goneMember is the first of a group's members that is destroyed.
func goneMember(o *outcome, members []any) string {
	i := slices.IndexFunc(members, func(m any) bool { return o.why[memberOf(m)] != "" })
	return memberOf(members[i])
}

func withBackends(r *spec.Resource, backends []any) *spec.Resource {
	same := *r
	same.Attributes = make(map[string]any, len(r.Attributes))
	for k, v := range r.Attributes {
		same.Attributes[k] = v
	}
	same.Attributes[backendsKey] = backends
	return &same
}
