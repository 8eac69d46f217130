package spec

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// BackendAddress names a member of a group for drain and in messages:
// load_balancer.SLB1.backend["instance.ECS01:80"].
func BackendAddress(group, member string) string { return fmt.Sprintf("%s.backend[%q]", group, member) }

// SplitBackend takes apart the address of a backend.
func SplitBackend(address string) (group, member string, ok bool) {
	t, diags := hclsyntax.ParseTraversalAbs([]byte(address), "", hcl.InitialPos)
	if n := len(t); !diags.HasErrors() && n > 2 && attrName(t[n-2]) == "backend" {
		group, _, err := CanonicalAddress(traversalText(t[:n-2]))
		return group, stepName(t[n-1]), err == nil && stepName(t[n-1]) != ""
	}
	return "", "", false
}

// RenameServer gives the address of an instance, or of a backend, with the new addresses
// of what it is made of.
func RenameServer(address string, renamed map[string]string) string {
	if to := renamed[address]; to != "" {
		return to
	}
	group, member, ok := SplitBackend(address)
	if !ok {
		return address
	}
	if to := renamed[group]; to != "" {
		group = to
	}
	server, port := member, ""
	if i := strings.LastIndexByte(member, ':'); i > 0 {
		server, port = member[:i], member[i:]
	}
	if to := renamed[server]; to != "" {
		member = to + port
	}
	return BackendAddress(group, member)
}
