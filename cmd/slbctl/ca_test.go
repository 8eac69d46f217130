package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/localca"
)

// TestTrust changes stores of its own, never this machine's.
func TestTrust(t *testing.T) {
	t.Chdir(t.TempDir())
	var installed, uninstalled []*x509.Certificate
	var refused error
	before := trustStores
	defer func() { trustStores = before }()
	trustStores.install = func(root *x509.Certificate) error { installed = append(installed, root); return refused }
	trustStores.uninstall = func(root *x509.Certificate) error { uninstalled = append(uninstalled, root); return refused }
	run := func(answer string, args ...string) (string, string, error) {
		var out, said bytes.Buffer
		s := &session{ctx: t.Context(), stdin: strings.NewReader(answer), stdout: &out, stderr: &said, ask: answer != ""}
		err := s.execute(args)
		return out.String(), said.String(), err
	}
	for _, verb := range []string{"print", "install", "uninstall"} {
		if _, _, err := run("yes\n", "ca", verb); err == nil || !strings.Contains(err.Error(), "no local CA") {
			t.Errorf("%s without a root: %v", verb, err)
		}
	}
	if _, err := localca.Ensure(durable.OS, control.Folder, time.Now()); err != nil {
		t.Fatal(err)
	}
	text, root, err := localca.Root(durable.OS, control.Folder)
	if err != nil {
		t.Fatal(err)
	}
	if out, said, err := run("", "ca", "print"); out != string(text) || !strings.Contains(said, "SHA-256 ") || err != nil {
		t.Errorf("print: %q %q %v", out, said, err)
	}
	if _, _, err := run("", "ca", "install"); err == nil {
		t.Error("install asks nobody")
	}
	if _, said, err := run("no\n", "ca", "install"); !errors.Is(err, errCancelled) || !strings.Contains(said, "root.key") {
		t.Errorf("a no: %v, asked %q", err, said)
	}
	if len(installed)+len(uninstalled) > 0 {
		t.Fatal("something was changed without a yes")
	}
	for verb, list := range map[string]*[]*x509.Certificate{"install": &installed, "uninstall": &uninstalled} {
		if out, _, err := run("yes\n", "ca", verb); err != nil || !strings.Contains(out, "trusted") {
			t.Errorf("%s: %q %v", verb, out, err)
		}
		if _, _, err := run("", "ca", verb, "-auto-approve"); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
		if len(*list) != 2 || !(*list)[1].Equal(root) {
			t.Errorf("%s of %d certificates", verb, len(*list))
		}
	}
	refused = errors.New("no permission")
	if _, _, err := run("", "ca", "install", "-auto-approve"); err == nil || !strings.Contains(err.Error(), "ca print") {
		t.Errorf("a store that refuses: %v", err)
	}
}
