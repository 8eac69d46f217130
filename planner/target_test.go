package planner_test

import (
	"fmt"
	"testing"

	"slbctl/planner"
	"slbctl/spec"
)

func group(name string, backends ...any) spec.Resource {
	return resource("server_group."+name, attrs{"backend": backends}, instancesOf(backends)...)
}

// shop has a group that a listener points at, and a page that tells an address.
func shop() []spec.Resource {
	home := instance("home", attrs{"page": []any{attrs{"path": "/", "content": "see 127.10.0.200"}}})
	home.Refs = []string{"load_balancer.SLB1"}
	return append(quickstart(),
		instance("tom1"), instance("tom2"), home,
		group("tom", backend("tom1"), backend("tom2")),
		listener("SLB1", "81", attrs{"port": 81.0, "server_group": "server_group.tom"}),
	)
}

func TestTarget(t *testing.T) {
	newer := func(rs []spec.Resource) []spec.Resource {
		rs = with(rs, instance("tom2", attrs{"ports": []any{81.0}}), group("tom", backend("tom1"), backend("tom2"), backend("tom3")), instance("tom3"))
		return with(rs, listener("SLB1", "80", attrs{"scheduler": "wrr"}), listener("SLB1", "81", attrs{"port": 81.0, "server_group": "server_group.tom", "scheduler": "wlc"}))
	}
	for _, c := range []struct {
		name             string
		recorded, wanted []spec.Resource
		targets          []string
		want, wantErr    string
	}{
		{"what it needs", nil, shop(), []string{"server_group.tom"},
			"create instance.tom1\ncreate instance.tom2\ncreate server_group.tom", ""},
		{"values that it needs", nil, quickstart(), []string{`dns_zone["abc.com"].record["www:A"]`},
			"create dns_zone[\"abc.com\"]\ncreate dns_zone[\"abc.com\"].record[\"www:A\"]\ncreate instance.ECS01\ncreate instance.ECS02\ncreate load_balancer.SLB1", ""},
		{"children", shop(), newer(shop()), []string{"load_balancer.SLB1"}, `
update instance.tom2 [ports]
create instance.tom3
update load_balancer.SLB1.listener["tcp:80"] [scheduler]
update load_balancer.SLB1.listener["tcp:81"] [scheduler]
update server_group.tom [backend["instance.tom3"]]`, ""},
		{"one child", shop(), newer(shop()), []string{`load_balancer.SLB1.listener["tcp:80"]`},
			`update load_balancer.SLB1.listener["tcp:80"] [scheduler]`, ""},
		{"the rest stays", shop(), newer(shop()), []string{"instance.tom2"}, "update instance.tom2 [ports]", ""},
		{"a block", nil, []spec.Resource{instance("web[0]"), instance("web[1]"), instance("webber")}, []string{"instance.web"},
			"create instance.web[0]\ncreate instance.web[1]", ""},
		{"what points at something that goes", shop(), with(without(shop(), "instance.tom2"), group("tom", backend("tom1"))), []string{"instance.tom2"},
			"delete instance.tom2 (not in configuration)\nupdate server_group.tom [backend[\"instance.tom2\"]]", ""},
		{"unknown", shop(), shop(), []string{"server_group.tim"}, "",
			"target server_group.tim: there is no such resource; did you mean server_group.tom?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			if c.recorded != nil {
				w = holding(t, c.recorded)
			}
			in := w.input(t, config(t, c.wanted))
			in.Targets = c.targets
			check(t, in, c.want, c.wantErr)
		})
	}
}

func TestDestroy(t *testing.T) {
	late := with(shop(), instance("tom1", attrs{}))
	late[len(late)-1].Refs = []string{`dns_zone["abc.com"]`}
	for _, c := range []struct {
		name          string
		targets       []string
		wanted        []spec.Resource
		want, wantErr string
	}{
		{name: "everything", want: `
delete dns_zone["abc.com"] (everything is destroyed)
delete dns_zone["abc.com"].record["www:A"] (everything is destroyed)
delete instance.ECS01 (everything is destroyed)
delete instance.ECS02 (everything is destroyed)
delete instance.home (everything is destroyed)
delete instance.tom1 (everything is destroyed)
delete instance.tom2 (everything is destroyed)
delete load_balancer.SLB1 (everything is destroyed)
delete load_balancer.SLB1.listener["tcp:80"] (everything is destroyed)
delete load_balancer.SLB1.listener["tcp:81"] (everything is destroyed)
delete server_group.tom (everything is destroyed)`},
		{name: "a balancer and what uses its value", targets: []string{"load_balancer.SLB1"}, want: `
delete dns_zone["abc.com"].record["www:A"] (its value uses load_balancer.SLB1, which is destroyed)
delete instance.home (its value uses load_balancer.SLB1, which is destroyed)
delete load_balancer.SLB1 (destruction was asked for)
delete load_balancer.SLB1.listener["tcp:80"] (its load balancer is destroyed)
delete load_balancer.SLB1.listener["tcp:81"] (its load balancer is destroyed)`},
		{name: "a listener", targets: []string{`load_balancer.SLB1.listener["tcp:80"]`}, want: `
delete load_balancer.SLB1.listener["tcp:80"] (destruction was asked for)`},
		{name: "a member leaves its group", targets: []string{"instance.tom1", "instance.ECS01"}, want: `
delete instance.ECS01 (destruction was asked for)
delete instance.tom1 (destruction was asked for)
update load_balancer.SLB1 (a backend of it is destroyed) [backend["instance.ECS01"]]
update server_group.tom (a backend of it is destroyed) [backend["instance.tom1"]]`},
		{name: "the last member of a group", targets: []string{"instance.tom1", "instance.tom2"},
			wantErr: "server_group.tom would be left without backends when instance.tom2 is destroyed: name server_group.tom as well to destroy both, or give it another backend first"},
		{name: "the group of a listener", targets: []string{"instance.tom1", "instance.tom2", "server_group.tom"},
			wantErr: `load_balancer.SLB1.listener["tcp:81"] would be left without backends when server_group.tom is destroyed: name load_balancer.SLB1.listener["tcp:81"] as well to destroy both, or give it another backend first`},
		{name: "the last backends of a balancer", targets: []string{"instance.ECS01", "instance.ECS02"},
			wantErr: `load_balancer.SLB1.listener["tcp:80"] would be left without backends when instance.ECS02 is destroyed: name load_balancer.SLB1.listener["tcp:80"] as well to destroy both, or give it another backend first`},
		{name: "the last backends, and their listener", targets: []string{"instance.ECS01", "instance.ECS02", `load_balancer.SLB1.listener["tcp:80"]`}, want: `
delete instance.ECS01 (destruction was asked for)
delete instance.ECS02 (destruction was asked for)
update load_balancer.SLB1 (a backend of it is destroyed) [backend["instance.ECS01"] backend["instance.ECS02"]]
delete load_balancer.SLB1.listener["tcp:80"] (destruction was asked for)`},
		{name: "a reference that is not recorded yet", targets: []string{`dns_zone["abc.com"]`}, wanted: late, want: `
delete dns_zone["abc.com"] (destruction was asked for)
delete dns_zone["abc.com"].record["www:A"] (its dns zone is destroyed)
delete instance.tom1 (its value uses dns_zone["abc.com"], which is destroyed)
update server_group.tom (a backend of it is destroyed) [backend["instance.tom1"]]`},
		{name: "unknown", targets: []string{"instance.tom3"}, wantErr: "target instance.tom3: there is no such resource; did you mean instance.tom1 or instance.tom2?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := holding(t, shop())
			in := w.input(t, nil)
			if c.wanted != nil {
				in.Config = config(t, c.wanted)
			}
			in.Destroy, in.Targets = true, c.targets
			check(t, in, c.want, c.wantErr)
			if c.wantErr == "" {
				w.apply(t, in)
				in = w.input(t, nil)
				in.Destroy = true
				w.apply(t, in)
				if n := len(w.recorded(t).Resources); n != 0 {
					t.Errorf("%d resources are left", n)
				}
			}
		})
	}
}

// TestDestroyKeepsWhatIsNotNamed holds that targets survive a second look: the
// rest is as it was, and planning the configuration brings the targets back.
func TestDestroyKeepsWhatIsNotNamed(t *testing.T) {
	w := holding(t, quickstart())
	in := w.input(t, nil)
	in.Destroy, in.Targets = true, []string{"load_balancer.SLB1"}
	w.apply(t, in)
	p := mustMake(t, w.input(t, config(t, quickstart())))
	if got := p.Count(planner.Create); got != 3 || p.Count(planner.NoOp) != 3 {
		t.Errorf("%d to create\n%s", got, summary(p))
	}
}

// TestDestroyWhatIsInUse refuses to take from a web listener what it names.
func TestDestroyWhatIsInUse(t *testing.T) {
	lb := `load_balancer.SLB1.listener`
	web := []spec.Resource{
		instance("ECS01"),
		resource("server_group.tom", attrs{"backend": []any{backend("ECS01")}}, "instance.ECS01"),
		resource("acl.office", attrs{"entries": []any{"10.0.0.0/8"}, "ip_version": "ipv4"}),
		balancer("SLB1", attrs{"backend": []any{backend("ECS01")}}),
		resource(lb+`["http:80"]`, attrs{"protocol": "http", "port": 80.0, "acl": "acl.office", "acl_type": "white"}, "acl.office"),
		resource(lb+`["http:80"].rule["tom"]`, attrs{"url": "/tom", "server_group": "server_group.tom"}, "server_group.tom"),
		resource(lb+`["http:81"]`, attrs{"protocol": "http", "port": 81.0, "redirect": attrs{"port": 80.0, "code": 302.0}}),
		instance("ECS02"),
		instance("ECS03"),
		resource("server_group.pair", attrs{"type": "active_standby", "backend": []any{
			backend("ECS02", attrs{"role": "active"}), backend("ECS03", attrs{"role": "standby"}),
		}}, "instance.ECS02", "instance.ECS03"),
		resource("acl.spam", attrs{"entries": []any{"192.0.2.0/24"}, "ip_version": "ipv4"}),
		resource(lb+`["tcp:82"]`, attrs{"protocol": "tcp", "port": 82.0, "server_group": "server_group.pair", "acl": "acl.spam", "acl_type": "black"}, "server_group.pair", "acl.spam"),
	}
	for target, want := range map[string]string{
		"server_group.tom": lb + `["http:80"].rule["tom"] would be left without backends when server_group.tom is destroyed: name ` +
			lb + `["http:80"].rule["tom"] as well to destroy both, or give it another backend first`,
		"acl.office":                   lb + `["http:80"] lets clients in by acl.office: name ` + lb + `["http:80"] as well to destroy both, or take the list out of it first`,
		lb + `["http:80"]`:             lb + `["http:81"] redirects to ` + lb + `["http:80"]: name ` + lb + `["http:81"] as well to destroy both, or send it elsewhere first`,
		"acl.spam":                     lb + `["tcp:82"] keeps clients out by acl.spam: name ` + lb + `["tcp:82"] as well to destroy both, or take the list out of it first`,
		"instance.ECS03":               "server_group.pair needs both of its backends, and instance.ECS03 would be destroyed: name server_group.pair as well to destroy both, or make it a vserver group first",
		"server_group.pair":            lb + `["tcp:82"] would be left without backends when server_group.pair is destroyed: name ` + lb + `["tcp:82"] as well to destroy both, or give it another backend first`,
		lb + `["http:80"].rule["tom"]`: "",
		lb + `["http:81"]`:             "",
		"load_balancer.SLB1":           "",
	} {
		t.Run(target, func(t *testing.T) {
			in := holding(t, web).input(t, nil)
			in.Destroy, in.Targets = true, []string{target}
			_, err := planner.Make(in)
			if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}
}
