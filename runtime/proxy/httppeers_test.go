//go:build linux

package proxy

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installed skips the test where a program is missing.
func installed(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: apt-get install nginx-light haproxy curl wrk nghttp2-client", p)
		}
	}
}

// startProgram runs a server until the test ends, and waits until it listens.
func startProgram(t testing.TB, ep netip.AddrPort, name string, args ...string) {
	t.Helper()
	server := exec.Command(name, args...)
	var said strings.Builder
	server.Stdout, server.Stderr = &said, &said
	server.WaitDelay = patience
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill() // nginx alone may sleep through a SIGINT that comes just before it waits
		server.Wait()
	})
	eventually(t, name+" listens", func() bool {
		c, err := net.DialTimeout("tcp", ep.String(), time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// startNginx serves a folder, and takes whatever is PUT or POSTed to /up.
func startNginx(t testing.TB, root string) netip.AddrPort {
	t.Helper()
	ep, dir := freePort(t), t.TempDir()
	conf := writeFile(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr error;
events { worker_connections 512; }
http {
	access_log off; client_max_body_size 100m; keepalive_requests 100000;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s; root %[3]s;
		location /up { proxy_pass http://%[2]s/sink; }
		location /sink { return 200 "took $content_length\n"; }
		location /who { return 200 "$http_x_forwarded_for $server_protocol\n"; }
	}
}`, dir, ep, root))
	startProgram(t, ep, "nginx", "-c", conf, "-e", "stderr")
	return ep
}

// startHAProxy passes on to another server.
func startHAProxy(t testing.TB, to netip.AddrPort) netip.AddrPort {
	t.Helper()
	ep := freePort(t)
	conf := writeFile(t, filepath.Join(t.TempDir(), "haproxy.cfg"), fmt.Sprintf(`
global
	maxconn 512
defaults
	mode http
	timeout client 10s
	timeout server 10s
	timeout connect 10s
frontend in
	bind %s
	default_backend out
backend out
	server one %s
`, ep, to))
	startProgram(t, ep, "haproxy", "-db", "-f", conf)
	return ep
}

func curl(t testing.TB, args ...string) string {
	t.Helper()
	b, err := exec.Command("curl", append([]string{"-sS", "--max-time", "10"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("curl %s: %v: %s", strings.Join(args, " "), err, b)
	}
	return string(b)
}

// TestHTTPRealPeers has nginx and HAProxy behind the listener, and curl in front.
func TestHTTPRealPeers(t *testing.T) {
	installed(t, "nginx", "haproxy", "curl")
	root := t.TempDir()
	large := strings.Repeat("0123456789abcdef", 1<<18)
	file := writeFile(t, filepath.Join(root, "large"), large)
	writeFile(t, filepath.Join(root, "small"), "small\n")
	nginx := startNginx(t, root)
	for name, backend := range map[string]netip.AddrPort{"nginx": nginx, "haproxy": startHAProxy(t, nginx)} {
		t.Run(name, func(t *testing.T) {
			_, k, h := web(t, 2, httpListenerOf(backend))
			url := func(path string) string { return urlOf(k, path) }
			want := func(what, got, want string) {
				t.Helper()
				if got != want {
					t.Errorf("%s: %.200q, want %.200q", what, got, want)
				}
			}
			want("GET", curl(t, url("/small")), "small\n")
			want("keep-alive", curl(t, "-w", "%{num_connects} ", url("/small"), url("/small"), url("/small")), "small\n1 small\n0 small\n0 ")
			want("HTTP/1.0", curl(t, "--http1.0", url("/who"))[:len("127.0.0.1 HTTP/1.")], "127.0.0.1 HTTP/1.")
			want("HEAD", curl(t, "-I", "-o", os.DevNull, "-w", "%{http_code} %header{content-length}", url("/large")), fmt.Sprintf("200 %d", len(large)))
			want("range", curl(t, "-r", "16-19", "-w", " %{http_code}", url("/large")), "0123 206")
			want("not modified", curl(t, "-o", os.DevNull, "-w", "%{http_code}", "-z", "1 Jan 2100", url("/small")), "304")
			want("not found", curl(t, "-o", os.DevNull, "-w", "%{http_code}", url("/none")), "404")
			if got := curl(t, url("/large")); sha256.Sum256([]byte(got)) != sha256.Sum256([]byte(large)) {
				t.Errorf("of %d bytes %d came", len(large), len(got))
			}
			want("POST", curl(t, "-H", "Expect:", "--data-binary", "@"+file, url("/up")), fmt.Sprintf("took %d\n", len(large)))
			want("100-continue", curl(t, "-H", "Expect: 100-continue", "--data-binary", "@"+file, url("/up")), fmt.Sprintf("took %d\n", len(large)))
			want("chunked", curl(t, "-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", "@"+file, url("/up")), fmt.Sprintf("took %d\n", len(large)))
			if n := atRest(t, h); n.Errors != 0 || n.Backends["a"].Errors != 0 {
				t.Errorf("counted %+v", n)
			}
		})
	}
}

// TestHTTPLoadGenerators has wrk, which pipelines nothing, and h2load, which does.
func TestHTTPLoadGenerators(t *testing.T) {
	installed(t, "wrk", "h2load")
	_, k, h := web(t, 2, httpListenerOf(startBackend(t, serveFast), startBackend(t, serveFast)))
	b, err := exec.Command("wrk", "-c", "50", "-t", "1", "-d", "1s", urlOf(k, "/")).CombinedOutput()
	if err != nil || strings.Contains(string(b), "Socket errors") || strings.Contains(string(b), "Non-2xx") {
		t.Errorf("wrk: %v\n%s", err, b)
	}
	b, err = exec.Command("h2load", "--h1", "-c", "20", "-m", "8", "-n", "20000", urlOf(k, "/")).CombinedOutput()
	if err != nil || !strings.Contains(string(b), "20000 succeeded, 0 failed, 0 errored, 0 timeout") {
		t.Errorf("h2load: %v\n%s", err, b)
	}
	if n := atRest(t, h); n.Errors != 0 || n.Backends["a"].Errors+n.Backends["b"].Errors != 0 {
		t.Errorf("counted %+v", n)
	}
}
