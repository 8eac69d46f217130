package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	recoverPanics = false // a bug must be seen
	os.Exit(m.Run())
}

// load loads one file's content.
func load(t testing.TB, src string, opts ...func(*Options)) (*Config, Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var opt Options
	for _, o := range opts {
		o(&opt)
	}
	return Load(dir, opt)
}

func render(d Diagnostics) string {
	var b strings.Builder
	_ = d.WriteText(&b, false, 78)
	return b.String()
}

// mustLoad fails on any diagnostic, warnings too.
func mustLoad(t testing.TB, src string, opts ...func(*Options)) *Config {
	t.Helper()
	c, diags := load(t, src, opts...)
	if len(diags) > 0 {
		t.Fatalf("unexpected diagnostics:\n%s", render(diags))
	}
	return c
}

// mustLoadErrors fails on errors only.
func mustLoadErrors(t testing.TB, src string, opts ...func(*Options)) *Config {
	t.Helper()
	c, diags := load(t, src, opts...)
	if diags.HasErrors() {
		t.Fatalf("unexpected errors:\n%s", render(diags))
	}
	return c
}

func TestLoadQuickstart(t *testing.T) {
	c, diags := Load("../testdata/quickstart", Options{})
	if len(diags) > 0 {
		t.Fatal(render(diags))
	}
	if got, want := c.Outputs[0].Value, "http://127.10.0.4"; got != want {
		t.Errorf("output url = %v, want %v", got, want)
	}
	if got := c.DNSZones[0].Records[0].Values; len(got) != 1 || got[0] != c.LoadBalancers[0].IP.String() {
		t.Errorf("record = %v", got)
	}
	if got := c.DNSZones[0].Records[0].Refs; len(got) != 1 || got[0] != "load_balancer.SLB1" {
		t.Errorf("refs = %v", got)
	}
	if got := c.Simulations[0].Listener; got != "tcp:80" {
		t.Errorf("simulation listener = %q", got)
	}
}
