package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// base has every block, each with a line that an example can take the place of.
const base = `
instance "base" {
  zone = "z" # instance.zone
  # instance
  page "/" {
    # page
  }
}
instance "behind" {
  zone  = "z"
  ports = [80, 82]
}
instance "other" {
  ports = [80, 82]
}
server_group "base" {
  # server_group
  backend {
    instance = instance.behind # backend.instance
    # backend
  }
}
load_balancer "base" {
  # load_balancer
  backend { instance = instance.behind }
  listener "tcp" "80" {
    # listener
    health_check {
      # health_check
    }
  }
}
load_balancer "many" {
  backend { instance = instance.behind }
  backend { instance = instance.base }
  listener "tcp" "80" {}
  listener "tcp" "82" {}
}
dns_zone "a.test" {
  # dns_zone
  record "a" "A" {
    value = "127.0.0.1" # record.value
    # record
  }
}
runtime {
  # runtime
}
simulation "s" {
  target   = load_balancer.many # simulation.target
  listener = "tcp:80"           # simulation.listener
  duration = "1m"               # simulation.duration
  # simulation
  traffic "t" {
    rate    = 10 # traffic.rate
    clients = { count = 10 } # traffic.clients
    # traffic
  }
  fault "f" {
    at     = 1               # fault.at
    target = instance.behind # fault.target
    # fault
  }
  expect "e" {
    metric = "share"         # expect.metric
    of     = instance.behind # expect.of
    max    = 0.5             # expect.max
    # expect
  }
}
`

// examples holds, for every label, attribute and inner block of every table,
// something else than what base says. A table entry without an example fails
// TestEveryAttributeChangesTheConfig. Where base has a line "# block.name", the
// example takes its place, else it takes that of "# block". Labels are replaced
// in the header.
var examples = map[string]string{
	"instance.count": "2", "instance.for_each": `{ x = "1", y = "2" }`, "instance.tags": `{ a = "b" }`,
	"instance.zone": `"z9"`, "instance.address": `"127.10.0.99"`, "instance.ports": "[81, 82]",
	"instance.protocol": `"tcp_echo"`, "instance.status": `"stopped"`, "instance.deletion_protection": "true",
	"instance.page": `page "/x" { content = "x" }`, "instance.lifecycle": "lifecycle { prevent_destroy = true }",

	"page.path": `page "/"|page "/y"`, "page.content": `"<p>"`, "page.file": `"page.txt"`, "page.status": "404",
	"page.content_type": `"image/png"`, "page.headers": `{ X-A = "b" }`,

	"server_group.count": "2", "server_group.for_each": `toset(["x", "y"])`, "server_group.tags": `{ a = "b" }`,
	"server_group.type": `"vserver"`, "server_group.backend": "backend { instance = instance.other }",
	"server_group.lifecycle": "lifecycle { prevent_destroy = true }",

	"backend.instance": "instance.other", "backend.port": "82", "backend.weight": "7",
	"backend.address": "instance = instance.behind # backend.instance|address = \"127.0.0.1\"\nport = 80",

	"load_balancer.count": "2", "load_balancer.for_each": `{ x = 1, y = 2 }`, "load_balancer.tags": `{ a = "b" }`,
	"load_balancer.address_type": `"intranet"`, "load_balancer.address": `"127.10.0.98"`, "load_balancer.primary_zone": `"z1"`,
	"load_balancer.backup_zone": `"z2"`, "load_balancer.status": `"inactive"`, "load_balancer.delete_protection": "true",
	"load_balancer.backend": "backend { instance = instance.other }", "load_balancer.listener": "listener \"tcp\" \"81\" {}",
	"load_balancer.lifecycle": "lifecycle { prevent_destroy = true }",

	"listener.protocol": `listener "tcp" "80"|listener "tcp" "80"`, "listener.port": `listener "tcp" "80"|listener "tcp" "83"`,
	"listener.server_group": "server_group.base", "listener.backend_port": "82",
	"listener.scheduler": `"tch"`, "listener.status": `"stopped"`, "listener.description": `"text"`, "listener.drain": "0",
	"listener.when_all_unhealthy": `"forward"`, "listener.established_timeout": `"10ms"`,
	"listener.health_check": "# health_check|enabled = false",

	"health_check.enabled": "false", "health_check.type": `"tcp"`, "health_check.port": "82", "health_check.interval": "3",
	"health_check.timeout": `"1m"`, "health_check.healthy_threshold": "1", "health_check.unhealthy_threshold": "10",

	"dns_zone.count": "0", "dns_zone.for_each": "{}", "dns_zone.tags": `{ a = "b" }`,
	"dns_zone.record": `record "b" "A" { value = "127.0.0.1" }`, "dns_zone.lifecycle": "lifecycle { prevent_destroy = true }",
	"record.host": `record "a"|record "c"`, "record.type": `"a" "A"|"a" "TXT"`, "record.value": `"127.0.0.9"`, "record.ttl": "60",
	"record.values": `value = "127.0.0.1"|values = ["127.0.0.8", "127.0.0.9"]`,

	"runtime.network": `"127.20.0.0/16"`, "runtime.loops": "3", "runtime.port_offset": "8000", "runtime.expose": "true",
	"runtime.dns_address": `"127.0.0.1:5353"`,

	"simulation.name": `simulation "s"|simulation "other"`, "simulation.target": "load_balancer.base", "simulation.listener": `"tcp:82"`,
	"simulation.duration": `"5m"`, "simulation.warmup": `"1s"`, "simulation.seed": "7",
	"simulation.traffic": `traffic "more" { rate = 5 }`,
	"simulation.fault":   "fault \"later\" {\n at = \"1s\"\n target = instance.base\n}",
	"simulation.expect":  "expect \"more\" {\n metric = \"errors\"\n max = 0\n}",

	"traffic.name": `traffic "t"|traffic "other"`, "traffic.rate": "11", "traffic.arrivals": `"constant"`, "traffic.clients": "{ count = 7 }",
	"clients.count": "count = 10|count = 5", "clients.network": `count = 10|count = 10, network = "10.0.0.0/8"`,
	"clients.popularity": "count = 10|count = 10, popularity = 1.05",
	"fault.name":         `fault "f"|fault "other"`, "fault.at": "3", "fault.for": "4", "fault.target": "[instance.base]",
	"fault.zone": `target = instance.behind # fault.target|zone = "z"`, "fault.mode": `"hang"`,
	"expect.name": `expect "e"|expect "other"`, "expect.metric": "of     = instance.behind # expect.of|",
	"expect.of": "instance.base", "expect.min": "0.1", "expect.max": "0.9", "expect.during": `"steady"`,
}

// alsoReplace is what else an example needs.
var alsoReplace = map[string][2]string{
	"expect.metric":     {`"share"`, `"error_rate"`},
	"instance.protocol": {"page \"/\" {\n    # page\n  }", ""},
	"simulation.target": {"listener = \"tcp:80\"           # simulation.listener", ""},
}

// oneWord names what has a single word in the language so far.
var oneWord = []string{"server_group.type", "health_check.type", "listener.protocol"}

// TestEveryAttributeChangesTheConfig writes each example into base and looks for
// the difference in what plan, runtime and simulator read.
func TestEveryAttributeChangesTheConfig(t *testing.T) {
	tables := []*block{runtimeBlock, simulationBlock, trafficBlock, clientsBlock, faultBlock, expectBlock, pageBlock, backendBlock, healthCheckBlock}
	for _, k := range resourceKinds {
		tables = append(tables, k.block)
	}
	before := describeConfig(t, base)
	for _, b := range tables {
		for _, list := range [][]attribute{b.labels, b.attributes} {
			for _, a := range list {
				if !a.computed {
					testChange(t, b.name+"."+a.name, "# "+b.name, a.name+" = ", before)
				}
			}
		}
		for _, c := range b.blocks {
			testChange(t, b.name+"."+c.name, "# "+b.name, "", before)
		}
	}
}

func testChange(t *testing.T, id, marker, prefix, before string) {
	t.Run(id, func(t *testing.T) {
		example := examples[id]
		old, replacement, found := strings.Cut(example, "|")
		switch {
		case example == "":
			t.Fatal("no example: add one to the table in this file")
		case found:
		case strings.Contains(base, "# "+id+"\n"):
			end := strings.Index(base, "# "+id+"\n")
			old, replacement = base[strings.LastIndex(base[:end], "\n")+1:end], prefix+example+" "
		default:
			old, replacement = marker+"\n", prefix+example+"\n"
		}
		if !strings.Contains(base, old) {
			t.Fatalf("base has no %q", old)
		}
		src := strings.Replace(base, old, replacement, 1)
		if also, ok := alsoReplace[id]; ok {
			src = strings.Replace(src, also[0], also[1], 1)
		}
		if after := describeConfig(t, src); before == after && !slices.Contains(oneWord, id) {
			t.Errorf("%q changes nothing", replacement)
		}
	})
}

func describeConfig(t *testing.T, src string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"main.slb.hcl": src, "page.txt": "from a file"} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, diags := Load(dir, Options{})
	if diags.HasErrors() {
		t.Fatalf("%s\nin:\n%s", render(diags), src)
	}
	out, err := json.Marshal([]any{c.Resources(), c.Runtime, c.Simulations})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// The defaults of the tables are those of the language's description.
func TestIsDefault(t *testing.T) {
	c := mustLoad(t, "instance \"a\" {}\nload_balancer \"b\" {\n backend { instance = instance.a }\n listener \"tcp\" \"80\" {}\n}\n")
	for _, r := range c.Resources() {
		for name, v := range r.Attributes {
			unset := !slices.Contains([]string{"address", "backend", "protocol", "port"}, name) || name == "protocol" && r.Kind == "instance"
			if got := IsDefault(r.Kind, name, v); got != unset {
				t.Errorf("IsDefault(%s, %s, %v) = %v", r.Kind, name, v, got)
			}
		}
	}
	if IsDefault("listener", "drain", "31s") || IsDefault("nothing", "x", nil) || IsDefault("listener", "nothing", nil) {
		t.Error("what is no default is called one")
	}
}

// The defaults and the words of the language's description.
func TestDefaults(t *testing.T) {
	c := mustLoad(t, "instance \"a\" {}\nload_balancer \"b\" {\n backend { instance = instance.a }\n listener \"tcp\" \"80\" {}\n}\n"+
		"dns_zone \"a.test\" {\n record \"@\" \"A\" { value = instance.a.address }\n}\n"+
		"simulation \"s\" {\n target = load_balancer.b\n duration = 1\n traffic \"t\" { rate = 1 }\n}\n")
	got, err := json.Marshal([]any{c.Runtime, c.Simulations, c.LoadBalancers[0].Backends})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Resources() {
		text, err := json.Marshal(r.Attributes)
		if err != nil {
			t.Fatal(err)
		}
		got = append(append(got, '\n'), text...)
	}
	want := strings.Join([]string{
		`[{"Network":"127.10.0.0/16","Loops":0,"PortOffset":0,"Expose":false,"DNSAddress":""},` +
			`[{"Name":"s","Target":"load_balancer.b","Listener":"tcp:80","Duration":1000000000,"Warmup":0,"Seed":0,` +
			`"Traffic":[{"Name":"t","Rate":1,"Arrivals":"poisson","Clients":{"Count":1000,"Network":"203.0.113.0/24","Popularity":0}}],` +
			`"Faults":null,"Expects":null}],[{"Instance":"instance.a","Address":"","Port":0,"Weight":100}]]`,
		`{"address":"127.10.0.2","address_pinned":false,"deletion_protection":false,"page":[],"ports":[80],"protocol":"http","status":"running","tags":{},"zone":""}`,
		`{"address":"127.10.0.3","address_pinned":false,"address_type":"internet","backend":[{"address":"","instance":"instance.a","port":0,"weight":100}],` +
			`"backup_zone":"","delete_protection":false,"primary_zone":"","status":"active","tags":{}}`,
		`{"backend_port":0,"description":"","drain":"30s","established_timeout":"15m","health_check":{"enabled":true,"healthy_threshold":3,` +
			`"interval":"2s","port":0,"timeout":"5s","type":"tcp","unhealthy_threshold":3},"port":80,"protocol":"tcp","scheduler":"wrr",` +
			`"server_group":"","status":"running","when_all_unhealthy":"reject"}`,
		`{"tags":{}}`,
		`{"host":"@","ttl":600,"type":"A","values":["127.10.0.2"]}`,
	}, "\n")
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestForcesReplacement(t *testing.T) {
	var got []string
	for _, k := range resourceKinds {
		for name := range k.defaults {
			if ForcesReplacement(k.name, name) {
				got = append(got, k.name+"."+name)
			}
		}
	}
	slices.Sort(got)
	want := []string{"instance.address", "instance.zone", "load_balancer.address", "load_balancer.address_type",
		"load_balancer.backup_zone", "load_balancer.primary_zone"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestJSONSchema checks that the schema names exactly what the tables accept.
func TestJSONSchema(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(JSONSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	properties := schema["properties"].(map[string]any)
	if got, want := sortedKeys(properties), []string{"dns_zone", "instance", "load_balancer", "locals", "output", "runtime",
		"server_group", "simulation", "variable"}; !slices.Equal(got, want) {
		t.Errorf("top level: %v", got)
	}
	body := properties["instance"].(map[string]any)["additionalProperties"].(map[string]any)["anyOf"].([]any)[0]
	for _, name := range []string{"count", "zone", "page", "lifecycle"} {
		if body.(map[string]any)["properties"].(map[string]any)[name] == nil {
			t.Errorf("instance has no %s", name)
		}
	}
	if body.(map[string]any)["properties"].(map[string]any)["address_pinned"] != nil {
		t.Error("a computed attribute is offered")
	}
}

// Every recorded attribute survives the way to JSON and back.
func TestEncodeIsWhatJSONDecodes(t *testing.T) {
	c := mustLoadErrors(t, base)
	for _, r := range c.Resources() {
		text, err := json.Marshal(r.Attributes)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Attributes, back) {
			t.Errorf("%s: %v", r.Address, fmt.Sprint(r.Attributes))
		}
	}
}
