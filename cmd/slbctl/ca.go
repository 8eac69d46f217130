package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/smallstep/truststore"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/localca"
	"slbctl/spec"
)

// caCmd is about the root of the local CA.
type caCmd struct {
	Print     caPrintCmd     `cmd:"" help:"Print the root's certificate, for curl --cacert and the like."`
	Install   caInstallCmd   `cmd:"" help:"Make this machine and Firefox trust the root."`
	Uninstall caUninstallCmd `cmd:"" help:"Take the root out of the stores of trust."`
}

// trustStores are those of this machine and user. Tests put others in their place.
var trustStores = struct{ install, uninstall func(*x509.Certificate) error }{
	install:   func(root *x509.Certificate) error { return truststore.Install(root, truststore.WithFirefox()) },
	uninstall: func(root *x509.Certificate) error { return truststore.Uninstall(root, truststore.WithFirefox()) },
}

// localRoot is the root of the working folder's local CA.
func localRoot() ([]byte, *x509.Certificate, error) {
	text, root, err := localca.Root(durable.OS, control.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errors.New("there is no local CA here yet: the first apply of a certificate with domains makes it")
	}
	return text, root, err
}

type caPrintCmd struct{}

func (c *caPrintCmd) Run(s *session) error {
	text, root, err := localRoot()
	if err != nil {
		return err
	}
	s.note("%s", describeRoot(root))
	_, err = s.stdout.Write(text)
	return err
}

type caInstallCmd struct {
	AutoApprove bool `help:"Do not ask."`
}

func (c *caInstallCmd) Run(s *session) error {
	return s.changeTrust(c.AutoApprove, "Trust this root?", "Whoever has .slbctl/ca/root.key can then pass for any site, to this machine's programs and to Firefox.",
		"The root is trusted", trustStores.install)
}

type caUninstallCmd struct {
	AutoApprove bool `help:"Do not ask."`
}

func (c *caUninstallCmd) Run(s *session) error {
	return s.changeTrust(c.AutoApprove, "Trust this root no more?", "Programs of this machine will refuse its certificates.",
		"The root is not trusted any more", trustStores.uninstall)
}

// changeTrust shows the root, asks, and changes the stores of trust.
func (s *session) changeTrust(approved bool, question, consequence, done string, change func(*x509.Certificate) error) error {
	if err := s.mayAsk(approved); err != nil {
		return err
	}
	_, root, err := localRoot()
	if err != nil {
		return err
	}
	s.note("%s", describeRoot(root))
	if !approved {
		if err := s.confirm(question, consequence); err != nil {
			return err
		}
	}
	if err := change(root); err != nil {
		return fmt.Errorf("store of trust: %w; `slbctl ca print` gives the root to programs that take one", err)
	}
	_, err = fmt.Fprintln(s.stdout, done+".")
	return err
}

func describeRoot(root *x509.Certificate) string {
	return fmt.Sprintf("%s, until %s\nSHA-256 %s", root.Subject.CommonName, root.NotAfter.UTC().Format(time.DateOnly), spec.Fingerprint(root.Raw))
}
