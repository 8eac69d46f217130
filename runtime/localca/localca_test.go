package localca_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/durable"
	"slbctl/runtime/durable/durabletest"
	"slbctl/runtime/localca"
	"slbctl/spec"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func ensure(t *testing.T, folder string, at time.Time) *localca.Authority {
	t.Helper()
	a, err := localca.Ensure(durable.OS, folder, at)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestIssue(t *testing.T) {
	folder := filepath.Join(t.TempDir(), ".slbctl")
	if _, _, err := localca.Root(durable.OS, folder); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a root before there is one: %v", err)
	}
	ensure(t, folder, now)
	if err := os.Chmod(filepath.Join(folder, "ca"), 0o755); err != nil { // as copied
		t.Fatal(err)
	}
	issued, err := ensure(t, folder, now).Issue([]string{"*.a.test", "127.0.0.1", "a.test"}, now)
	if err != nil {
		t.Fatal(err)
	}
	text, root, err := localca.Root(durable.OS, folder)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("the root is not PEM")
	}
	for name, want := range map[string]bool{"a.test": true, "www.a.test": true, "127.0.0.1": true, "x.www.a.test": false, "b.test": false, "127.0.0.2": false} {
		_, err := issued.Leaf.Verify(x509.VerifyOptions{
			DNSName: name, Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if lives := issued.Leaf.NotAfter.Sub(issued.Leaf.NotBefore); lives > 397*24*time.Hour || lives != spec.IssuedFor {
		t.Errorf("it holds for %v", lives)
	}
	if issued.Leaf.IsCA || !root.IsCA || !root.MaxPathLenZero || root.KeyUsage&x509.KeyUsageCertSign == 0 {
		t.Error("who may sign")
	}
	if _, err := tls.X509KeyPair([]byte(issued.Chain), []byte(issued.Key)); err != nil {
		t.Error(err)
	}
	for file, want := range map[string]fs.FileMode{"": 0o700, "root.key": 0o600} {
		info, err := os.Stat(filepath.Join(folder, "ca", file))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v %v", file, info.Mode(), err)
		}
	}
}

func TestReadAndRenew(t *testing.T) {
	folder := t.TempDir()
	a := ensure(t, folder, now)
	names := []string{"a.test", "127.0.0.1"}
	issued, err := a.Issue(names, now)
	if err != nil {
		t.Fatal(err)
	}
	if back := a.Read(issued.Text(), []string{"127.0.0.1", "a.test"}, now); back == nil || back.Text() != issued.Text() {
		t.Error("it does not read back")
	}
	third := spec.IssuedFor / 3
	other := ensure(t, t.TempDir(), now)
	for what, read := range map[string]*localca.Issued{
		"other names":    a.Read(issued.Text(), []string{"a.test"}, now),
		"another root":   other.Read(issued.Text(), names, now),
		"nearly expired": a.Read(issued.Text(), names, now.Add(2*third+time.Minute)),
		"of tomorrow":    a.Read(issued.Text(), names, now.Add(-2*time.Hour)),
		"no key":         a.Read(issued.Chain, names, now),
		"nothing":        a.Read("", names, now),
		"no certificate": a.Read(issued.Key+issued.Key, names, now),
	} {
		if read != nil {
			t.Errorf("%s is taken", what)
		}
	}
	if a.Read(issued.Text(), names, now.Add(2*third-2*time.Hour)) == nil {
		t.Error("it is renewed too early")
	}
}

// A root that cannot vouch any more is replaced; one without its key is not, for
// somebody may have the key.
func TestEnsure(t *testing.T) {
	folder := t.TempDir()
	ensure(t, folder, now)
	_, first, _ := localca.Root(durable.OS, folder)
	ensure(t, folder, now.AddDate(9, 0, 0))
	if _, same, _ := localca.Root(durable.OS, folder); !same.Equal(first) {
		t.Error("a root that holds is replaced")
	}
	late, err := ensure(t, folder, now.AddDate(9, 11, 0)).Issue([]string{"a.test"}, now.AddDate(9, 11, 0))
	if err != nil || late.Leaf.NotAfter.After(first.NotAfter) {
		t.Errorf("it outlives its root: %v %v", late, err)
	}
	ensure(t, folder, now.AddDate(11, 0, 0))
	if _, next, _ := localca.Root(durable.OS, folder); next.Equal(first) {
		t.Error("a root that has expired stays")
	}
	key := filepath.Join(folder, "ca", "root.key")
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	foreign := t.TempDir()
	ensure(t, foreign, now)
	others, err := os.ReadFile(filepath.Join(foreign, "ca", "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []string{"", "x", string(others), string(text[:len(text)/2])} {
		if err := os.WriteFile(key, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := localca.Ensure(durable.OS, folder, now); err == nil || !strings.Contains(err.Error(), "root.key") || strings.Contains(err.Error(), "MIG") {
			t.Errorf("%.10q: %v", damage, err)
		}
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := localca.Ensure(durable.OS, folder, now); err == nil {
		t.Error("a root without its key is replaced")
	}
}

// TestCreateStoppedAnywhere: after a crash there is a whole authority or a new one can
// be made, and one that somebody may trust stays.
func TestCreateStoppedAnywhere(t *testing.T) {
	for _, loss := range durabletest.Losses {
		for at, done := 1, false; !done; at++ {
			disk := durabletest.New()
			disk.StopAt(at, nil)
			_, err := localca.Ensure(disk, "/d", now)
			if done = !disk.Stopped(); done && err != nil {
				t.Fatal(err)
			}
			disk = disk.Reboot(loss)
			_, before, _ := localca.Root(disk, "/d")
			if _, err := localca.Ensure(disk, "/d", now); err != nil {
				t.Fatalf("loss %d, stop at %d: %v", loss, at, err)
			}
			if _, after, err := localca.Root(disk, "/d"); err != nil || before != nil && !before.Equal(after) {
				t.Errorf("loss %d, stop at %d: the root is another one: %v", loss, at, err)
			}
		}
	}
}
