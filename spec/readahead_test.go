package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// aheadBlocks are blocks with one %s, an argument of each of which the text is written
// out or computed.
var aheadBlocks = []string{
	"instance \"NAME\" {\n  zone = %s\n  page \"/\" { content = \"x\" }\n}\n",
	"instance \"NAME\" {\n  zone = %s\n  ports = [80, 81]\n  tags = { a = \"b\", \"c\" = \"d\" }\n  page \"/\" { content = <<EOT\n}\nx\nEOT\n  }\n}\n",
	"instance \"NAME\" {\n  zone = %s\n  protocol = \"tcp_echo\"\n  status = null\n}\n",
	"instance \"NAME\" {\n  zone = %s\n  page \"/\" { file = \"page.html\" }\n}\n",
	"instance \"NAME\" {\n  zone = %s\n  address = \"127.10.9.9\"\n}\n",
	"acl \"NAME\" {\n  entries = [%s]\n}\n",
	"server_group \"NAME\" {\n  backend {\n    address = %s\n    port = 80\n  }\n}\n",
	"ca_certificate \"NAME\" {\n  certificate = %s\n}\n",
	"certificate \"NAME\" {\n  domains = [%s]\n}\n",
	// Mistakes, told of in its turn.
	"instance \"NAME\" {\n  zone = %s\n  ports = [80, 80]\n}\n",
	"instance \"NAME\" {\n  zone = %s\n  status = \"asleep\"\n}\n",
	"instance \"NAME\" {\n  zone = %s\n  page \"x\" {}\n  page \"x\" {}\n}\n",
	"instance \"NAME\" {\n  zone = %s\n  page \"/\" { file = \"missing.html\" }\n}\n",
	"instance \"NAME\" {\n  zone = %s\n  zone_id = 1\n}\n",
	"server_group \"NAME\" {\n  type = %s\n}\n",
}

var aheadTexts = []string{`"b"`, `"10.0.0.0/8"`, `"127.0.0.1"`, `"vserver"`, `""`}

// TestReadAhead holds what is read ahead to what is read in its turn: the same
// resources, ids, addresses and mistakes, whatever stands beside them.
func TestReadAhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain, computed := "", ""
		for i := range rapid.IntRange(1, 6).Draw(t, "blocks") {
			block := strings.ReplaceAll(rapid.SampledFrom(aheadBlocks).Draw(t, "block"), "NAME", fmt.Sprint("n", i))
			text := rapid.SampledFrom(aheadTexts).Draw(t, "text")
			plain += fmt.Sprintf(block, text)
			computed += fmt.Sprintf(block, fmt.Sprintf(`"${%s}"`, text))
		}
		ahead, said := aheadLoad(t, plain)
		turn, wanted := aheadLoad(t, computed)
		if said != wanted {
			t.Fatalf("%s\nread ahead:\n%s\nin its turn:\n%s", plain, said, wanted)
		}
		if !reflect.DeepEqual(ahead, turn) {
			t.Fatalf("%s\nread ahead: %+v\nin its turn: %+v", plain, ahead, turn)
		}
	})
}

// aheadLoad gives a configuration and what is said about it, without columns.
func aheadLoad(t *rapid.T, src string) (*Config, string) {
	dir, err := os.MkdirTemp("", "readahead-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{"main.slb.hcl": src, "page.html": "<p>"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, diags := Load(dir, Options{})
	text := ""
	for _, d := range diags {
		line := 0
		if d.Range != nil {
			line = d.Range.Start.Line
		}
		text += fmt.Sprintf("%d %s %s %s %s\n", line, d.Severity, d.Summary, d.Detail, d.Hint)
	}
	return c, text
}

// TestReadAheadWhich says which blocks are read ahead, and that nothing is left of their trees.
func TestReadAheadWhich(t *testing.T) {
	for src, want := range map[string]bool{
		"zone = \"b\"":                           true,
		"ports = [80]\n  tags = { a = \"b\" }":   true,
		"page \"/\" {\n    content = \"x\"\n  }": true,
		"count = 2":                              false,
		"zone = var.zone":                        false,
		"zone = \"${1}\"":                        false,
		"tags = { (1) = \"b\" }":                 false,
		"address = \"127.10.0.9\"":               false,
		"status = \"asleep\"":                    false,
		"dynamic \"page\" {\n    for_each = []\n  content {}\n  }": false,
	} {
		dir := t.TempDir()
		text := "instance \"a\" {\n  " + src + "\n}\n"
		if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := newLoader(dir, Options{})
		l.parse(l.root, []string{"main.slb.hcl"})
		l.files.close()
		def := l.root.definitions["instance"]["a"]
		if got := def.read != nil; got != want {
			t.Errorf("%s: read ahead %v, want %v", src, got, want)
		}
		if left := argument(def.block.Body, "zone") != nil; want && left {
			t.Errorf("%s: the tree is kept", src)
		}
	}
}

// TestReadAheadProtocol asks what an instance speaks before it has its turn.
func TestReadAheadProtocol(t *testing.T) {
	const src = `
instance "a" {
  page "/" { content = load_balancer.lb.listener["tcp:80"].url }
}
instance "b" {
  protocol = "tcp_echo"
}
load_balancer "lb" {
  backend { instance = instance.b }
  listener "tcp" "80" {}
}
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	c, diags := Load(dir, Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if got := c.Instances[0].Pages[0].Content; !strings.HasPrefix(got, "tcp://") {
		t.Errorf("the page shows %q, want the URL of a listener whose server does not speak HTTP", got)
	}
}
