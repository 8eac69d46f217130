package webserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"slbctl/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// child starts a child in this process and returns its client.
func child(t *testing.T) *Child {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- ServeChild(ctx, l, filepath.Join(filepath.Dir(path), "logs")) }()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("ServeChild: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return c
}

// freeEndpoint returns an address of its own with a port nobody has.
func freeEndpoint(t *testing.T, ip string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func web(address, content string, endpoints ...netip.AddrPort) Instance {
	return Instance{Address: address, Endpoints: endpoints, Protocol: spec.ProtocolHTTP, Running: true,
		Pages: []spec.Page{{Path: "/", Content: content, Status: 200}}}
}

func set(t *testing.T, c *Child, instances ...Instance) {
	t.Helper()
	if err := c.Set(t.Context(), instances); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, endpoint netip.AddrPort) string {
	t.Helper()
	response, err := http.Get("http://" + endpoint.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func refused(endpoint netip.AddrPort) error {
	conn, err := net.Dial("tcp", endpoint.String())
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s still accepts", endpoint)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return nil
}

// exchange sends raw bytes and returns the raw answer until the server closes.
func exchange(t *testing.T, endpoint netip.AddrPort, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", endpoint.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestPages(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.0.0.1")
	i := web("instance.a", "Hello World ! This is ECS01.\n", endpoint)
	i.Pages = append(i.Pages,
		spec.Page{Path: "/teapot", Content: "short", Status: 418, ContentType: "text/x-pot",
			Headers: map[string]string{"x-lid": "on", "Content-Length": "7000", "Transfer-Encoding": "chunked"}},
		spec.Page{Path: "/empty", Status: 204, Content: "ignored", Headers: map[string]string{"Content-Length": "7"}},
		spec.Page{Path: "/html", Content: "<!DOCTYPE html><p>hi"},
		spec.Page{Path: "/with space", Content: "spaced"},
		spec.Page{Path: "/moved", Status: 302, Headers: map[string]string{"Location": "/"}},
	)
	set(t, c, i)

	tests := []struct {
		method, target string
		status         int
		has            []string // header lines
		not            []string
		body           string
	}{
		{"GET", "/", 200, []string{"Content-Type: text/plain; charset=utf-8", "Content-Length: 29"}, []string{"Connection: close"}, "Hello World ! This is ECS01.\n"},
		{"HEAD", "/", 200, []string{"Content-Type: text/plain; charset=utf-8", "Content-Length: 29"}, nil, ""},
		{"GET", "/?q=1", 200, nil, nil, "Hello World ! This is ECS01.\n"},
		{"GET", "/teapot", 418, []string{"Content-Type: text/x-pot", "Content-Length: 5", "X-Lid: on"}, []string{"7000", "chunked"}, "short"},
		{"GET", "/empty", 204, nil, []string{"Content-Length", "Content-Type"}, ""},
		{"GET", "/html", 200, []string{"Content-Type: text/html; charset=utf-8"}, nil, "<!DOCTYPE html><p>hi"},
		{"HEAD", "/html", 200, []string{"Content-Type: text/html; charset=utf-8"}, nil, ""},
		{"GET", "/with%20space", 200, nil, nil, "spaced"},
		{"GET", "/moved", 302, []string{"Location: /", "Content-Length: 0"}, nil, ""},
		{"GET", "/teapot/", 404, nil, nil, "404 page not found\n"},
		{"GET", "/Teapot", 404, nil, nil, "404 page not found\n"},
		{"GET", "/x/../teapot", 404, nil, nil, "404 page not found\n"},
		{"GET", "//", 404, nil, nil, "404 page not found\n"},
		{"POST", "/", 405, []string{"Allow: GET, HEAD"}, nil, "405 method not allowed\n"},
		{"OPTIONS", "/", 405, []string{"Allow: GET, HEAD"}, nil, "405 method not allowed\n"},
		{"DELETE", "/nothing", 404, nil, []string{"Allow"}, "404 page not found\n"},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			raw := exchange(t, endpoint, test.method+" "+test.target+" HTTP/1.1\r\nHost: x\r\n\r\n"+
				"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			// The pipelined second answer proves that the first one's length was right.
			second := strings.LastIndex(raw, "HTTP/1.1 404 Not Found\r\n")
			if second <= 0 || !strings.Contains(raw[second:], "\r\nConnection: close\r\n") {
				t.Fatalf("no second answer in %q", raw)
			}
			raw = raw[:second]
			head, body, _ := strings.Cut(raw, "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 "+strconv.Itoa(test.status)+" ") || body != test.body {
				t.Errorf("got %q, %q", head, body)
			}
			for _, line := range test.has {
				if !slices.Contains(strings.Split(head, "\r\n"), line) {
					t.Errorf("no %q in %q", line, head)
				}
			}
			for _, text := range test.not {
				if strings.Contains(head, text) {
					t.Errorf("%q in %q", text, head)
				}
			}
		})
	}
}

func TestHeaderLimit(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.0.0.1")
	set(t, c, web("instance.a", "x", endpoint))
	got := exchange(t, endpoint, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("a", 48<<10)+"\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("got %.40q, want 431", got)
	}
}

// A page change reaches a connection that is already open, which shows that
// neither the socket nor its connections were closed for it.
func TestPagesChangeInPlace(t *testing.T) {
	c := child(t)
	kept, other := freeEndpoint(t, "127.0.0.1"), freeEndpoint(t, "127.0.0.2")
	set(t, c, web("instance.a", "one", kept))

	conn, err := net.Dial("tcp", kept.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	ask := func() (string, bool) {
		t.Helper()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return string(body), response.Close
	}
	steps := []struct {
		change func()
		body   string
		closes bool
	}{
		{func() {}, "one", false},
		{func() { set(t, c, web("instance.a", "two", kept)) }, "two", false},
		{func() { set(t, c, web("instance.a", "two", kept), web("instance.b", "b", other)) }, "two", false},
		{func() { set(t, c, web("instance.renamed", "three", kept)) }, "three", false},
		{func() {
			i := web("instance.renamed", "three", kept)
			i.Draining = true
			set(t, c, i)
		}, "three", true},
	}
	for n, step := range steps {
		step.change()
		if body, closes := ask(); body != step.body || closes != step.closes {
			t.Fatalf("step %d: got %q, closing %v", n, body, closes)
		}
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the drained answer: %v, want EOF", err)
	}
	if body := get(t, kept); body != "three" {
		t.Errorf("a draining instance answered %q: it must go on serving", body)
	}
}

func TestSetIsATransaction(t *testing.T) {
	c := child(t)
	a, b := freeEndpoint(t, "127.0.0.1"), freeEndpoint(t, "127.0.0.2")
	set(t, c, web("instance.a", "old", a))
	stranger, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	taken := netip.MustParseAddrPort(stranger.Addr().String())
	before, _ := c.Status(t.Context())

	tests := []struct {
		name      string
		instances []Instance
		says      []string
	}{
		{"port taken", []Instance{web("instance.a", "new", a), web("instance.b", "new", b, taken)},
			[]string{"instance.b", taken.String(), "already in use by", strconv.Itoa(os.Getpid())}},
		{"one endpoint twice", []Instance{web("instance.x", "new", b), web("instance.y", "new", b)},
			[]string{"instance.y", b.String(), "instance.x"}},
		{"unknown protocol", []Instance{{Address: "instance.z", Protocol: "gopher", Running: true}},
			[]string{"instance.z", "gopher"}},
		{"one page twice", []Instance{{Address: "instance.p", Protocol: spec.ProtocolHTTP, Running: true,
			Pages: []spec.Page{{Path: "/"}, {Path: "/"}}}}, []string{"instance.p", `"/"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := c.Set(t.Context(), test.instances)
			for _, text := range test.says {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("error %v does not say %q", err, text)
				}
			}
			if body := get(t, a); body != "old" {
				t.Errorf("page is %q after a refused change", body)
			}
			if err := refused(b); err != nil {
				t.Errorf("after a refused change: %v", err)
			}
			after, _ := c.Status(t.Context())
			if fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("status %v, was %v", after, before)
			}
		})
	}
}

func TestStopAndStart(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.0.0.1")
	i := web("instance.a", "here", endpoint)
	for range 50 { // a socket that closes a moment later is found out
		i.Running = true
		set(t, c, i)
		if body := get(t, endpoint); body != "here" {
			t.Fatalf("got %q", body)
		}
		i.Running = false
		set(t, c, i)
		if err := refused(endpoint); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Status(t.Context())
	if err != nil || len(got) != 1 || got[0].Running || got[0].Address != "instance.a" || got[0].Endpoints[0] != endpoint {
		t.Errorf("status %+v, %v", got, err)
	}
}

// An answer under way when its instance is stopped arrives whole.
func TestStopIsGraceful(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.0.0.1")
	large := strings.Repeat("x", 16<<20) // more than both socket buffers hold
	set(t, c, web("instance.a", large, endpoint))
	response, err := http.Get("http://" + endpoint.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	set(t, c)
	if err := refused(endpoint); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) != len(large) {
		t.Errorf("got %d bytes, %v", len(body), err)
	}
}

func TestEcho(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.0.0.1")
	echoing := Instance{Address: "instance.e", Endpoints: []netip.AddrPort{endpoint}, Protocol: spec.ProtocolTCPEcho, Running: true}
	set(t, c, echoing)
	conn, err := net.Dial("tcp", endpoint.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	go func() {
		_, _ = io.WriteString(conn, sent)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != sent {
		t.Errorf("echoed %d bytes of %d, %v", len(got), len(sent), err)
	}

	// The same socket becomes a web server, and an echo connection that is open stays one.
	old, err := net.Dial("tcp", endpoint.String())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	one := make([]byte, 1)
	ping := func() error {
		if _, err := old.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.ReadFull(old, one)
		return err
	}
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	set(t, c, web("instance.e", "page", endpoint))
	if body := get(t, endpoint); body != "page" {
		t.Errorf("got %q", body)
	}
	if err := ping(); err != nil {
		t.Errorf("echo connection after the change: %v", err)
	}
	set(t, c)
	_ = old.SetReadDeadline(time.Now().Add(grace))
	if _, err := old.Read(one); !errors.Is(err, io.EOF) {
		t.Errorf("echo connection after the stop: %v, want EOF", err)
	}
}

func TestShutdownEndsTheChild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ServeChild(context.Background(), l, t.TempDir()) }()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.PID() != os.Getpid() {
		t.Errorf("PID %d, want %d", c.PID(), os.Getpid())
	}
	endpoint := freeEndpoint(t, "127.0.0.1")
	set(t, c, web("instance.a", "x", endpoint))
	if err := c.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := refused(endpoint); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := Dial(t.Context(), path); err == nil {
		t.Error("the child still answers")
	}
}

// The client that set the instances goes away and another adopts them.
func TestAdopt(t *testing.T) {
	first := child(t)
	endpoint := freeEndpoint(t, "127.0.0.1")
	set(t, first, web("instance.a", "x", endpoint))
	first.Close()
	second, err := Dial(t.Context(), first.path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got, err := second.Status(t.Context()); err != nil || len(got) != 1 || !got[0].Running {
		t.Errorf("status %+v, %v", got, err)
	}
	if body := get(t, endpoint); body != "x" {
		t.Errorf("got %q", body)
	}
}

func TestBrokenControlRequest(t *testing.T) {
	c := child(t)
	for body, want := range map[any]string{"text": "unreadable request", 7: "unreadable request"} {
		err := c.do(t.Context(), http.MethodPut, "/instances", body, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("PUT %v: %v", body, err)
		}
	}
	if err := c.do(t.Context(), http.MethodGet, "/nothing", nil, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("unknown path: %v", err)
	}
}

// Every connection gets an answer while pages and neighbours change.
func TestChangesLoseNothing(t *testing.T) {
	c := child(t)
	a, b := freeEndpoint(t, "127.0.0.1"), freeEndpoint(t, "127.0.0.2")
	set(t, c, web("instance.a", "0", a))
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for {
			select {
			case <-stop:
				failed <- nil
				return
			default:
			}
			response, err := client.Get("http://" + a.String() + "/")
			if err != nil {
				failed <- err
				return
			}
			response.Body.Close()
		}
	}()
	for n := range 200 {
		instances := []Instance{web("instance.a", strconv.Itoa(n), a)}
		if n%2 == 0 {
			instances = append(instances, web("instance.b", "b", b))
		}
		set(t, c, instances...)
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

func TestThousandsOfInstances(t *testing.T) {
	const n = 5000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < n+200 {
		t.Skipf("needs %d descriptors, has %d", n+200, limit.Cur)
	}
	c := child(t)
	// One port of its own on 5,000 addresses: unlikely to be anybody's.
	port := freeEndpoint(t, "127.77.0.1").Port()
	all := make([]Instance, n)
	for k := range all {
		ip := netip.AddrFrom4([4]byte{127, 77, byte(1 + k/250), byte(1 + k%250)})
		all[k] = web("instance.web["+strconv.Itoa(k)+"]", "x", netip.AddrPortFrom(ip, port))
	}
	start := time.Now()
	set(t, c, all...)
	for _, k := range []int{0, n / 2, n - 1} {
		if body := get(t, all[k].Endpoints[0]); body != "x" {
			t.Errorf("%s: got %q", all[k].Address, body)
		}
	}
	set(t, c)
	t.Logf("started and stopped %d instances in %v", n, time.Since(start))
	if err := refused(all[n-1].Endpoints[0]); err != nil {
		t.Error(err)
	}
}
