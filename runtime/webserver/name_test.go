package webserver

import (
	"strings"
	"testing"

	"slbctl/spec"
)

// TestNamesItselfWhenAsked: whatever the answer is, a fault's included, who asks is told at
// which endpoint; who does not is told nothing.
func TestNamesItselfWhenAsked(t *testing.T) {
	c, endpoint := child(t), freeEndpoint(t, "127.89.2.1")
	instance := web("instance.a", "a", endpoint)
	name := NameHeader + ": " + endpoint.String() + "\r\n"
	for _, fault := range []*spec.InstanceFault{nil, {ErrorRate: 1, Status: 503}} {
		instance.Fault = fault
		set(t, c, instance)
		for _, path := range []string{"/", "/nowhere"} {
			head := "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
			if got := exchange(t, endpoint, head+NameHeader+": ?\r\n\r\n"); !strings.Contains(got, name) {
				t.Errorf("fault %v, %s: it does not name itself in %q", fault, path, got)
			}
			if got := exchange(t, endpoint, head+"\r\n"); strings.Contains(got, NameHeader) {
				t.Errorf("fault %v, %s: it names itself unasked in %q", fault, path, got)
			}
		}
	}
}
