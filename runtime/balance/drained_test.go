package balance

import (
	"slices"
	"testing"

	"slbctl/spec"
)

func TestDrained(t *testing.T) {
	const lb, group = "load_balancer.lb", "server_group.g"
	for address, want := range map[string]string{
		"instance.a":                                  "instance.a@l:80 instance.a:9000@l:8081 instance.a:8080@l:8081",
		"instance.b":                                  "instance.b@l:80",
		"instance.c":                                  "",
		spec.BackendAddress(lb, "instance.a:80"):      "instance.a@l:80",
		spec.BackendAddress(lb, "instance.a"):         "instance.a@l:80",
		spec.BackendAddress(lb, "instance.a:81"):      "",
		spec.BackendAddress(group, "instance.a:8080"): "instance.a:8080@l:8081",
		spec.BackendAddress(group, "instance.a"):      "instance.a:9000@l:8081 instance.a:8080@l:8081",
		spec.BackendAddress(group, "127.0.0.1:81"):    "127.0.0.1:81@l:8081",
		spec.BackendAddress(lb, "127.0.0.1:81"):       "",
	} {
		ls := compiled(t, shop())
		unknown := Drained(ls, []string{address})
		if (unknown == nil) != (want != "") {
			t.Errorf("%s is unknown: %v", address, unknown)
		}
		got := ""
		for i, l := range ls {
			for _, b := range l.Backends {
				if b.Drained {
					if b.Weight != 0 {
						t.Errorf("%s: %s has weight %d", address, b.Name, b.Weight)
					}
					if got != "" {
						got += " "
					}
					got += b.Name + []string{"@l:80", "@l:8081"}[i]
				}
			}
		}
		if got != want {
			t.Errorf("%s drains %q, want %q", address, got, want)
		}
	}
}

func TestUnserved(t *testing.T) {
	ls := compiled(t, shop())
	Drained(ls, []string{"instance.a"})
	if got := Unserved(ls); got != nil {
		t.Errorf("somebody is left everywhere, and it says %v", got)
	}
	Drained(ls, []string{"instance.b"})
	if got := Unserved(ls); !slices.Equal(got, []string{ls[0].Address}) {
		t.Errorf("got %v", got)
	}
}

// A server that gets another name keeps its clients, whatever chooses it by a hash.
func TestRenamedServerKeepsItsClients(t *testing.T) {
	config := func(renamed bool) *spec.Config {
		c := shop()
		for _, i := range c.Instances {
			i.ID = "i-" + i.Address
		}
		if renamed {
			c.Instances[0].Address = "instance.zz"
			for _, backends := range [][]spec.Backend{c.ServerGroups[0].Backends, c.LoadBalancers[0].Backends} {
				for i := range backends {
					if backends[i].Instance == "instance.a" {
						backends[i].Instance = "instance.zz"
					}
				}
			}
		}
		return c
	}
	well := func(int) Health { return Normal }
	before, after := compiled(t, config(false))[1], compiled(t, config(true))[1]
	if before.Backends[0].Name == after.Backends[0].Name {
		t.Fatal("nothing was renamed")
	}
	old, fresh := before.Table(well), after.Table(well)
	if !slices.Equal(old.sequence, fresh.sequence) {
		t.Error("the hash table sends clients elsewhere")
	}
	for i := range before.Backends {
		if before.CookieValue(i) != after.CookieValue(i) {
			t.Errorf("%s is not in the cookies of %s any more", before.Backends[i].Name, after.Backends[i].Name)
		}
	}
}
