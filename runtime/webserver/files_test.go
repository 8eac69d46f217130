package webserver

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slbctl/spec"
)

const canary = "nobody may see this"

// folderOf makes a site with a secret beside it and traps inside, and gives its path.
func folderOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"secret":              canary,
		"www-secret/x":        canary,
		"www/index.html":      "<p>home",
		"www/a.txt":           "text",
		"www/a b.txt":         "space",
		"www/docs/index.html": "<p>docs",
		"www/empty/.keep":     canary,
		"www/.env":            canary,
		"www/.git/config":     canary,
		"www/.well-known/x":   "known",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"out": "../secret", "outside": "..", "absolute": filepath.Join(dir, "secret"), "root": "/", "inside.txt": "a.txt", "loop": "loop",
	} {
		if err := os.Symlink(to, filepath.Join(dir, "www", link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "www", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "www")
}

func siteAt(endpoint netip.AddrPort, folder string) Instance {
	return Instance{
		Address: "instance.site", Endpoints: []netip.AddrPort{endpoint}, Protocol: spec.ProtocolHTTP, Running: true, Site: folder,
		Pages: []spec.Page{{Path: "/page", Content: "a page", Status: 200}},
	}
}

// raw sends a request target as it is, which no HTTP client would.
func raw(t *testing.T, endpoint netip.AddrPort, target string) string {
	t.Helper()
	conn, err := net.Dial("tcp", endpoint.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target)
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%q: %v", target, err)
	}
	return string(answer)
}

func TestSite(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.4")
	folder := folderOf(t)
	set(t, c, siteAt(endpoint, folder))
	for _, test := range []struct{ target, status, has string }{
		{"/", "200", "<p>home"},
		{"/index.html", "200", "<p>home"},
		{"/a.txt", "200", "Content-Type: text/plain"},
		{"/a%20b.txt", "200", "space"},
		{"/inside.txt", "200", "text"},
		{"/docs/", "200", "<p>docs"},
		{"/docs", "301", "Location: /docs/"},
		{"/docs?q=1", "301", "Location: /docs/?q=1"},
		{"/.well-known/x", "200", "known"},
		{"/page", "200", "a page"},
		{"/empty/", "404", ""},
		{"/a.txt/", "404", ""},
		{"/pipe", "404", ""},
		{"/loop", "404", ""},
		{"/nothing", "404", ""},
	} {
		got := raw(t, endpoint, test.target)
		if !strings.HasPrefix(got, "HTTP/1.1 "+test.status) || !strings.Contains(got, test.has) {
			t.Errorf("%s: got %.200q, want %s with %q", test.target, got, test.status, test.has)
		}
	}
	response, err := http.Post("http://"+endpoint.String()+"/a.txt", "text/plain", strings.NewReader("x"))
	if err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("POST: %v, %v", response, err)
	} else {
		response.Body.Close()
	}
	request, _ := http.NewRequest(http.MethodGet, "http://"+endpoint.String()+"/a.txt", nil)
	request.Header.Set("Range", "bytes=1-2")
	response, err = http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if part, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusPartialContent || string(part) != "ex" {
		t.Errorf("range: %s %q", response.Status, part)
	}

	// Files are served as they are now, not as they were when the instance was set.
	if err := os.WriteFile(filepath.Join(folder, "a.txt"), []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := raw(t, endpoint, "/a.txt"); !strings.Contains(got, "newer") {
		t.Errorf("got %q", got)
	}
}

// TestSiteCannotBeLeft asks for what lies outside of the folder, and for what is hidden in
// it, in every way that has worked on some server.
func TestSiteCannotBeLeft(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.5")
	folder := folderOf(t)
	set(t, c, siteAt(endpoint, folder))
	absolute := filepath.Join(filepath.Dir(folder), "secret")
	targets := []string{
		"/out", "/outside/secret", "/outside", "/outside/", "/absolute", "/root" + absolute, "/root/etc/passwd", "/docs/../out",
		"/.env", "/%2eenv", "/%2Eenv", "/.git/config", "/.git", "/.git/", "/empty/.keep", "/docs/../.env", "/./.env", "//.env",
		absolute, "/" + absolute, "//" + absolute, "/%2f" + absolute, "/file://" + absolute, "file://" + absolute, "http://x" + absolute,
		"/www-secret/x", "/../www-secret/x", "/..%2fwww-secret/x", "/a.txt%00", "/../secret%00.txt", "/a.txt%00/../../secret",
		"/.../secret", "/..../secret", "/....//secret", "/..;/secret", "/..%00/secret", "/ ../secret", "/.%20./secret", "/%20../secret",
	}
	for _, up := range []string{"..", "%2e%2e", "%2E%2e", ".%2e", "%2e.", "%252e%252e", "%c0%ae%c0%ae", "%uff0e%uff0e", "..%01", "%EF%BC%8E%EF%BC%8E"} {
		for _, separator := range []string{"/", "%2f", "%5c", "\\", "//", "%252f", "/./"} {
			targets = append(targets, "/"+up+separator+"secret", "/docs"+separator+up+separator+up+separator+"secret")
		}
	}
	if len(targets) < 60 {
		t.Fatalf("only %d targets", len(targets))
	}
	for _, target := range targets {
		got := raw(t, endpoint, target)
		if strings.Contains(got, canary) || strings.Contains(got, "root:") || strings.HasPrefix(got, "HTTP/1.1 2") || strings.HasPrefix(got, "HTTP/1.1 5") {
			t.Errorf("%q: got %.200q", target, got)
		}
		if strings.Contains(got, "Location: //") {
			t.Errorf("%q redirects to another server: %.200q", target, got)
		}
	}
	t.Logf("%d targets", len(targets))
	if got := raw(t, endpoint, "/a.txt"); !strings.Contains(got, "text") {
		t.Errorf("after all that: %q", got)
	}
}
