package runtime

import (
	"testing"

	"slbctl/runtime/webserver"
	"slbctl/spec"
)

// TestSame: only an instance that the child serves exactly like that is not told again.
func TestSame(t *testing.T) {
	of := func(change func(*webserver.Instance)) webserver.Instance {
		i := webserver.Instance{Address: "instance.a", Running: true, Pages: []spec.Page{{Path: "/", Content: "a"}}, Fault: &spec.InstanceFault{Status: 500}}
		change(&i)
		return i
	}
	as := of(func(*webserver.Instance) {})
	for name, c := range map[string]struct {
		change func(*webserver.Instance)
		want   bool
	}{
		"nothing":  {func(*webserver.Instance) {}, true},
		"page":     {func(i *webserver.Instance) { i.Pages[0].Content = "b" }, false},
		"stopped":  {func(i *webserver.Instance) { i.Running = false }, false},
		"draining": {func(i *webserver.Instance) { i.Draining = true }, false},
		"fault":    {func(i *webserver.Instance) { i.Fault.Hang = true }, false},
		"well":     {func(i *webserver.Instance) { i.Fault = nil }, false},
	} {
		if got := same(as, of(c.change)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	site := of(func(i *webserver.Instance) { i.Site = "www" })
	if same(site, site) {
		t.Error("a folder may hold something else by now")
	}
}
