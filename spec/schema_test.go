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

// attributeExamples reads a configuration with every block, and for each label,
// attribute and inner block a change of it; package main's test uses them too.
func attributeExamples(t testing.TB) (base string, examples map[string]struct{ Replace [][2]string }) {
	t.Helper()
	source, err := os.ReadFile("../testdata/attributes/base.slb.hcl")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../testdata/attributes/examples.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &examples); err != nil {
		t.Fatal(err)
	}
	return string(source), examples
}

// TestEveryAttributeChangesTheConfig makes each change and looks for the difference
// in what plan, runtime and simulator read. An attribute without an example fails.
func TestEveryAttributeChangesTheConfig(t *testing.T) {
	tables := []*block{runtimeBlock, simulationBlock, trafficBlock, clientsBlock, sessionBlock, requestBlock, serviceBlock, faultBlock, changeBlock, drainBlock, deployBlock, expectBlock, balancerExpectBlock, testBlock, testRequestBlock, testExpectBlock, pageBlock, backendBlock,
		healthCheckBlock, stickySessionBlock, xForwardedForBlock, retryBlock, accessLogBlock, redirectBlock, additionalCertificateBlock, instanceFaultBlock}
	for _, k := range resourceKinds {
		tables = append(tables, k.block)
	}
	var ids []string
	for _, b := range tables {
		for _, list := range [][]attribute{b.labels, b.attributes} {
			for _, a := range list {
				if !a.computed {
					ids = append(ids, b.name+"."+a.name)
				}
			}
		}
		for _, c := range b.blocks {
			ids = append(ids, b.name+"."+c.name)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids) // the two blocks expect have most in common
	base, examples := attributeExamples(t)
	before := describeConfig(t, base)
	for _, id := range ids {
		t.Run(id, func(t *testing.T) {
			src := base
			for _, r := range examples[id].Replace {
				if !strings.Contains(src, r[0]) {
					t.Fatalf("base.slb.hcl has no %q", r[0])
				}
				src = strings.Replace(src, r[0], r[1], 1)
			}
			if src == base {
				t.Fatal("no example: add one to testdata/attributes/examples.json")
			}
			if after := describeConfig(t, src); before == after {
				t.Errorf("%v changes nothing", examples[id].Replace)
			}
		})
	}
	if len(examples) != len(ids) {
		t.Errorf("%d examples for %d attributes and blocks", len(examples), len(ids))
	}
}

func describeConfig(t *testing.T, src string) string {
	t.Helper()
	c := loadExamples(t, src)
	out, err := json.Marshal([]any{c.Resources(), c.Runtime, c.Simulations, c.Tests})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// loadExamples loads a configuration beside the files that it refers to.
func loadExamples(t *testing.T, src string) *Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../testdata/certificates")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/www", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"main.slb.hcl": src, "page.txt": "from a file"} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, diags := Load(dir, Options{})
	if diags.HasErrors() {
		t.Fatalf("%s\nin:\n%s", render(diags), src)
	}
	return c
}

// The defaults of the tables are those of the language's description.
func TestIsDefault(t *testing.T) {
	c := mustLoadErrors(t, "instance \"a\" {}\nload_balancer \"b\" {\n backend { instance = instance.a }\n listener \"tcp\" \"80\" {}\n"+
		" listener \"udp\" \"80\" {}\n listener \"http\" \"81\" {}\n}\n")
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
	c := mustLoadErrors(t, "instance \"a\" {}\nserver_group \"g\" {\n backend { instance = instance.a }\n}\nacl \"c\" { entries = [] }\n"+
		"load_balancer \"b\" {\n backend { instance = instance.a }\n listener \"tcp\" \"80\" {}\n listener \"udp\" \"81\" {}\n"+
		" listener \"http\" \"82\" {\n  rule \"r\" {\n   url = \"/r\"\n   server_group = server_group.g\n  }\n }\n}\n"+
		"dns_zone \"a.test\" {\n record \"@\" \"A\" { value = instance.a.address }\n}\n"+
		"simulation \"s\" {\n target = load_balancer.b\n listener = \"tcp:80\"\n duration = 1\n traffic \"t\" { rate = 1 }\n}\n")
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
	const backend = `{"address":"","instance":"instance.a","max_connections":0,"port":0,"protocol":"http1","role":"","weight":100}`
	want := strings.Join([]string{
		`[{"Network":"127.10.0.0/16","Loops":0,"PortOffset":0,"Expose":false,"DNSAddress":"","MetricsAddress":""},` +
			`[{"Name":"s","Target":"load_balancer.b","Listener":"tcp:80","Duration":1000000000,"Warmup":0,"Seed":0,` +
			`"Traffic":[{"Name":"t","Rate":1,"Log":"","Arrivals":"poisson","Clients":{"Count":1000,"Network":"203.0.113.0/24","Popularity":0},` +
			`"Session":{"Requests":0,"Cookies":true,"Connections":1},"Mix":null}],` +
			`"Service":null,"Faults":null,"Changes":null,"Drains":null,"Deploys":null,"Expects":null}],[{"Instance":"instance.a","Address":"","Port":0,"Weight":100,"MaxConnections":0,"Protocol":"http1","Role":""}]]`,
		`{"address":"127.10.0.2","address_pinned":false,"command":[],"deletion_protection":false,"env":{},"fault":null,"page":[],"ports":[80],"protocol":"http","site":"","status":"running","tags":{},"working_dir":"","zone":""}`,
		`{"backend":[` + backend + `],"tags":{},"type":"vserver"}`,
		`{"entries":[],"ip_version":"ipv4","tags":{}}`,
		`{"address":"127.10.0.3","address_pinned":false,"address_type":"internet","backend":[` + backend + `],` +
			`"backup_zone":"","bandwidth":0,"delete_protection":false,"expect":[],"primary_zone":"","spec":"","status":"active","tags":{}}`,
		`{"access_log":null,"acl":"","acl_type":"","backend_port":0,"bandwidth":0,"connect_timeout":"5s","description":"","drain":"30s","gzip":true,` +
			`"health_check":{"domain":"","enabled":true,"healthy_threshold":3,"http_codes":["http_2xx","http_3xx"],"interval":"2s",` +
			`"method":"head","port":0,"timeout":"5s","type":"http","unhealthy_threshold":3,"uri":"/"},` +
			`"idle_timeout":"15s","max_qps":0,"port":82,"protocol":"http","redirect":null,"request_timeout":"1m","retry":{"attempts":0,"on":["connect"]},` +
			`"scheduler":"wrr","server_group":"","slow_start":"0s","status":"running","sticky_session":null,"upstream_keepalive":true,` +
			`"when_all_unhealthy":"reject","x_forwarded_for":{"client_src_port":false,"proto":false,"slb_id":false,"slb_ip":false,"slb_port":false}}`,
		`{"accept_proxy_protocol":false,"acl":"","acl_type":"","backend_port":0,"bandwidth":0,"description":"","drain":"30s",` +
			`"established_timeout":"15m","health_check":{"enabled":true,"healthy_threshold":3,"interval":"2s","port":0,"timeout":"5s","type":"tcp",` +
			`"unhealthy_threshold":3},"persistence_timeout":"0s","port":80,"protocol":"tcp","proxy_protocol":"off","scheduler":"wrr",` +
			`"server_group":"","slow_start":"0s","status":"running","when_all_unhealthy":"reject"}`,
		`{"accept_proxy_protocol":false,"acl":"","acl_type":"","backend_port":0,"bandwidth":0,"description":"","drain":"30s",` +
			`"established_timeout":"15m","health_check":{"enabled":true,"expect":"","healthy_threshold":3,"interval":"5s","port":0,"request":"",` +
			`"timeout":"10s","type":"udp","unhealthy_threshold":3},"persistence_timeout":"0s","port":81,"protocol":"udp","proxy_protocol":"off",` +
			`"quic_id_length":0,"scheduler":"wrr","server_group":"","slow_start":"0s","status":"running","when_all_unhealthy":"reject"}`,
		`{"domain":"","health_check":null,"redirect":null,"scheduler":"","server_group":"server_group.g","sticky_session":null,"url":"/r"}`,
		`{"tags":{}}`,
		`{"host":"@","line":"default","status":"enabled","ttl":600,"type":"A","values":["127.10.0.2"],"weights":[]}`,
	}, "\n")
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestForcesReplacement(t *testing.T) {
	var got []string
	for _, k := range resourceKinds {
		for name := range k.defaults[len(k.defaults)-1] {
			if ForcesReplacement(k.name, name) {
				got = append(got, k.name+"."+name)
			}
		}
	}
	slices.Sort(got)
	want := []string{"instance.address", "instance.zone", "load_balancer.address", "load_balancer.address_type",
		"load_balancer.backup_zone", "load_balancer.primary_zone", "rule.domain", "rule.url"}
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
	if got, want := sortedKeys(properties), []string{"acl", "ca_certificate", "certificate", "dns_zone", "instance", "load_balancer", "locals", "module", "moved", "output", "removed", "runtime",
		"server_group", "simulation", "test", "tls_cipher_policy", "variable"}; !slices.Equal(got, want) {
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
	base, _ := attributeExamples(t)
	c := loadExamples(t, base)
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
