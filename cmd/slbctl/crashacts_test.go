package main

import (
	"fmt"
	"os"
	"path/filepath"

	"slbctl/runtime"
)

const crashConfig = `
runtime {
  network     = "%s"
  port_offset = 8000
}
instance "web" {
  count = 2
  page "/" { content = "web" }
}
load_balancer "lb" {
  backend {
    instance = instance.web
    weight   = %d
  }
  listener "tcp" "80" {
    health_check { interval = "50ms" }
  }
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["tcp:80"].url, "http://") }
`

// act is something that a user has slbctl do, and that must happen whole or not at all.
type act struct {
	name  string
	ready func(f *folder) // makes the folder as it is before, whatever was there
	args  []string
	// seen is what tells before from after, of any number of things; without it that is
	// what is recorded.
	seen func(f *folder) string
	// alone acts reach no daemon; steady ones leave whatever serves where it is, so that
	// no client may notice anything.
	alone, steady bool
}

// acts are everything that writes.
func acts(net string) []act {
	config := func(weight int) string { return fmt.Sprintf(crashConfig, net, weight) }
	secured := func(name string) string {
		return config(100) + fmt.Sprintf(`
certificate "own" {
  certificate = file("%s.crt")
  private_key = file("%[1]s.key")
}
certificate "issued" { domains = ["%[1]s.test"] }
`, name)
	}
	applied := func(config string) func(*folder) {
		return func(f *folder) {
			f.write(config)
			f.must("apply", "-auto-approve")
		}
	}
	then := func(steps ...func(*folder)) func(*folder) {
		return func(f *folder) {
			for _, step := range steps {
				step(f)
			}
		}
	}
	written := func(config string) func(*folder) { return func(f *folder) { f.write(config) } }
	did := func(args ...string) func(*folder) { return func(f *folder) { f.must(args...) } }
	tried := func(args ...string) func(*folder) { return func(f *folder) { f.run(nil, args...) } }
	gone := func(name string) func(*folder) {
		return func(f *folder) {
			if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	kept := func(from, to string) func(*folder) {
		return func(f *folder) { f.copy(filepath.Join(f.dir, from), to) }
	}
	drained := func(f *folder) string {
		names, err := runtime.Drained(f.dir)
		if err != nil {
			f.t.Error(err)
		}
		return fmt.Sprint(names)
	}
	return []act{
		{name: "apply", ready: then(applied(config(100)), written(config(50))), args: []string{"apply", "-auto-approve"}, steady: true},
		{name: "first apply", ready: then(applied(config(100)), did("destroy", "-auto-approve"), written(config(50))), args: []string{"apply", "-auto-approve"}},
		{
			name:  "apply of a certificate",
			ready: then(applied(secured("www")), written(secured("renewed"))), args: []string{"apply", "-auto-approve"}, steady: true,
		},
		{
			name:  "apply PLAN",
			ready: then(applied(config(100)), written(config(50)), did("plan", "-out=saved.plan")), args: []string{"apply", "saved.plan"}, steady: true,
		},
		{
			name:  "plan -out",
			ready: then(applied(config(100)), written(secured("www")), gone("next.plan")), args: []string{"plan", "-out=next.plan"},
			seen: func(f *folder) string {
				if f.file("next.plan") == "" {
					return ""
				}
				return f.must("show", "next.plan")
			},
			alone: true,
		},
		{name: "destroy", ready: applied(config(100)), args: []string{"destroy", "-auto-approve"}},
		{name: "rollback", ready: then(applied(secured("www")), applied(secured("renewed"))), args: []string{"rollback", "-auto-approve"}, steady: true},
		{
			name:  "state mv",
			ready: then(tried("state", "mv", "load_balancer.site", "load_balancer.lb"), applied(config(100))),
			args:  []string{"state", "mv", "load_balancer.lb", "load_balancer.site"}, steady: true,
		},
		{name: "state rm", ready: applied(config(100)), args: []string{"state", "rm", "load_balancer.lb"}, alone: true, steady: true},
		{
			name:  "state push",
			ready: then(applied(config(50)), kept("slbctl.state.json", "old.json"), applied(config(100))),
			args:  []string{"state", "push", "-force", "old.json"}, alone: true, steady: true,
		},
		{
			name:  "state recover",
			ready: then(tried("state", "recover"), applied(config(100)), gone("slbctl.state.json")), args: []string{"state", "recover"}, alone: true,
		},
		{name: "drain", ready: then(applied(config(100)), tried("undrain", "instance.web[0]")), args: []string{"drain", "instance.web[0]"}, seen: drained, steady: true},
		{name: "undrain", ready: then(applied(config(100)), tried("drain", "instance.web[0]")), args: []string{"undrain", "instance.web[0]"}, seen: drained, steady: true},
		{
			name:  "instance stop",
			ready: then(applied(config(100)), did("instance", "start", "instance.web[1]")), args: []string{"instance", "stop", "instance.web[1]"},
			seen: func(f *folder) string {
				var live struct {
					Instances []struct{ Address, Status string }
				}
				f.document(&live, "status", "-json")
				return fmt.Sprint(live.Instances)
			},
		},
	}
}
