package spec

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestCompareAddresses(t *testing.T) {
	sorted := []string{
		`instance.ECS1`, `instance.ECS01`, `instance.ECS2`, `instance.ECS10`,
		`instance.web["blue"]`, `instance.web[2]`, `instance.web[10]`,
		`load_balancer.SLB1`, `load_balancer.SLB1.listener["tcp:80"]`, `load_balancer.SLB1.listener["tcp:443"]`,
	}
	slices.SortFunc(sorted, CompareAddresses)
	want := []string{
		`instance.ECS01`, `instance.ECS1`, `instance.ECS2`, `instance.ECS10`,
		`instance.web["blue"]`, `instance.web[2]`, `instance.web[10]`,
		`load_balancer.SLB1`, `load_balancer.SLB1.listener["tcp:80"]`, `load_balancer.SLB1.listener["tcp:443"]`,
	}
	if !slices.Equal(sorted, want) {
		t.Errorf("got  %v\nwant %v", sorted, want)
	}
}

// Sorting and binary search need a strict order: only equal texts compare equal.
func TestCompareAddressesIsAnOrder(t *testing.T) {
	address := rapid.StringMatching(`(instance|lb)\.[a-c0-2]{1,4}(\[[0-9]{1,3}\])?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := address.Draw(t, "a"), address.Draw(t, "b"), address.Draw(t, "c")
		sign := func(x, y string) int { return cmp.Compare(CompareAddresses(x, y), 0) }
		if sign(a, b) != -sign(b, a) {
			t.Fatalf("%s and %s: not antisymmetric", a, b)
		}
		if (sign(a, b) == 0) != (a == b) {
			t.Fatalf("%s and %s compare %d", a, b, sign(a, b))
		}
		if sign(a, b) < 0 && sign(b, c) < 0 && sign(a, c) >= 0 {
			t.Fatalf("%s < %s < %s: not transitive", a, b, c)
		}
	})
}

func TestParseAddress(t *testing.T) {
	for address, kind := range map[string]string{
		`instance.ECS01`:                              "instance",
		`instance.web[0]`:                             "instance",
		`instance.web["blue"]`:                        "instance",
		`server_group.tom`:                            "server_group",
		`load_balancer.SLB1`:                          "load_balancer",
		`load_balancer.SLB1.listener["tcp:80"]`:       "listener",
		`load_balancer.lb[1].listener["tcp:80"]`:      "listener",
		`dns_zone["abc.com"]`:                         "dns_zone",
		`dns_zone["abc.com"].record["www:A"]`:         "record",
		`dns_zone["abc.com"].record["*.a:TXT"]`:       "record",
		`instance`:                                    "",
		`instance.`:                                   "",
		`instance.a.b`:                                "",
		`listener.x`:                                  "",
		`acl.office`:                                  "acl",
		`certificate.site`:                            "certificate",
		`ca_certificate.site`:                         "ca_certificate",
		`tls_cipher_policy.own`:                       "tls_cipher_policy",
		`module.site`:                                 "module",
		`module.site["a"].module.db[0]`:               "module",
		`module.site["a"].instance.web[0]`:            "instance",
		`module.a.load_balancer.b.listener["tcp:80"]`: "listener",
		`module.a.instance`:                           "",
		`module.a.b.c`:                                "",
		`module`:                                      "",
		`module["a"].instance.b`:                      "",
		`instance.a.module.b`:                         "",
		`rule.tom`:                                    "",
		`load_balancer.SLB1.listener["http:80"].rule["tom"]`:           "rule",
		`load_balancer.SLB1.listener["http:80"].rule["tom"].rule["a"]`: "",
		`load_balancer.SLB1.rule["tom"]`:                               "",
		`load_balancer.SLB1.listener["http:80"].rule`:                  "",
		`load_balancer.SLB1.record["www:A"]`:                           "",
		`load_balancer.SLB1.listener["tcp:80"].extra`:                  "",
		``: "",
	} {
		got, err := ParseAddress(address)
		if got != kind || (err == nil) != (kind != "") {
			t.Errorf("ParseAddress(%q) = %q, %v; want %q", address, got, err, kind)
		}
		if (ValidAddress(address) == nil) != (kind != "") {
			t.Errorf("ValidAddress(%q) = %v", address, ValidAddress(address))
		}
	}
}

func TestParent(t *testing.T) {
	for address, want := range map[string]string{
		`instance.ECS01`:                                               "",
		`instance.web["a.listener[\"x"]`:                               "",
		`load_balancer.SLB1`:                                           "",
		`load_balancer.SLB1.listener["tcp:80"]`:                        "load_balancer.SLB1",
		`load_balancer.SLB["a"].listener["tcp:80"]`:                    `load_balancer.SLB["a"]`,
		`dns_zone["abc.com"].record["www:A"]`:                          `dns_zone["abc.com"]`,
		`load_balancer.x[".record[\""].listener["tcp:80"]`:             `load_balancer.x[".record[\""]`,
		`module.a["x.listener[\"y"].instance.web[0]`:                   "",
		`module.a["b"].module.c.load_balancer.SLB1.listener["tcp:80"]`: `module.a["b"].module.c.load_balancer.SLB1`,
		`acl.office`: "",
		`load_balancer.SLB1.listener["http:80"].rule["tom"]`: `load_balancer.SLB1.listener["http:80"]`,
		`load_balancer.x[".rule[\""].listener["http:80"]`:    `load_balancer.x[".rule[\""]`,
	} {
		if got := Parent(address); got != want {
			t.Errorf("Parent(%s) = %q, want %q", address, got, want)
		}
	}
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for _, address := range []string{"instance.a", "instance.b", `load_balancer.a.listener["tcp:80"]`} {
		for n := range 2 {
			id := NewID(address, n)
			if seen[id] || id != NewID(address, n) {
				t.Errorf("NewID(%s, %d) = %s is not unique or not stable", address, n, id)
			}
			seen[id] = true
		}
	}
}
