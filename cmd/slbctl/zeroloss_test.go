package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lossy is a configuration that everything changes in while clients ask.
type lossy struct {
	network     string
	weight      int
	extra       bool   // a third backend
	group       string // whom the rule "group" sends to
	rule        bool   // another rule
	certificate string
	scheduler   string
	other       bool // a listener on another port
	chat        string
}

func (c lossy) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, `
runtime {
  network     = %q
  port_offset = 8000
}
instance "web" {
  count = 3
  page "/" { content = "page" }
  page "/group/x" { content = "page" }
  page "/more" { content = "page" }
}
certificate "own" {
  certificate = file("%s.crt")
  private_key = file("%[2]s.key")
}
server_group "chat" {
  backend {
    address = "127.0.0.1"
    port    = %s
  }
}
server_group "blue" {
  backend { instance = instance.web[0] }
}
server_group "green" {
  backend { instance = instance.web[1] }
}
load_balancer "lb" {
  backend {
    instance = instance.web[0]
    weight   = %d
  }
  backend { instance = instance.web[1] }
`, c.network, c.certificate, c.chat, c.weight)
	if c.extra {
		b.WriteString("  backend { instance = instance.web[2] }\n")
	}
	listener := func(kind, port, more string) {
		fmt.Fprintf(&b, `  listener "%s" "%s" {
    scheduler    = "%s"
    drain        = "2s"
    backend_port = 80
    %s
    health_check { interval = "200ms" }
`, kind, port, c.scheduler, more)
		fmt.Fprintf(&b, `
    rule "chat" {
      url          = "/chat"
      server_group = server_group.chat
      health_check { type = "tcp" }
    }
    rule "group" {
      url          = "/group"
      server_group = server_group.%s
    }
`, c.group)
		if c.rule {
			b.WriteString("    rule \"more\" {\n      url          = \"/more\"\n      server_group = server_group.blue\n    }\n")
		}
		b.WriteString("  }\n")
	}
	listener("http", "80", "")
	listener("https", "443", "certificate = certificate.own")
	if c.other {
		listener("http", "81", "")
	}
	b.WriteString("}\n")
	return b.String()
}

// witness counts what clients meet with.
type witness struct {
	t                    *testing.T
	ends                 chan struct{}
	running              sync.WaitGroup
	requests, failed     atomic.Int64
	connections, resumed atomic.Int64 // resumed: TLS sessions
	echoes               atomic.Int64
	address              string
	trust                *tls.Config
	pause                time.Duration // between two requests of a client
}

func (w *witness) fail(format string, args ...any) {
	if w.failed.Add(1) <= 20 {
		w.t.Errorf(format, args...)
	}
}

func (w *witness) ended() bool {
	select {
	case <-w.ends:
		return true
	default:
		return false
	}
}

// dial connects to the http listener, or the https one.
func (w *witness) dial(secure bool) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 20 * time.Second}
	if !secure {
		return dialer.Dial("tcp", w.address+":8080")
	}
	conn, err := tls.DialWithDialer(dialer, "tcp", w.address+":8443", w.trust)
	if err == nil && conn.ConnectionState().DidResume {
		w.resumed.Add(1)
	}
	return conn, err
}

// ask is a client that asks until the end: on one connection for as long as no answer says
// that it ends, or on a new one each time. It tries nothing twice.
func (w *witness) ask(n int, secure, keeps bool) {
	var conn net.Conn
	var in *bufio.Reader
	paths := []string{"/", "/group/x", "/more"}
	for i := n; !w.ended(); i++ {
		if conn == nil {
			var err error
			if conn, err = w.dial(secure); err != nil {
				w.requests.Add(1)
				w.fail("client %d: connect: %v", n, err)
				conn = nil
				continue
			}
			w.connections.Add(1)
			in = bufio.NewReader(conn)
		}
		w.requests.Add(1)
		ends, err := exchangePage(conn, in, paths[i%len(paths)], keeps)
		if err != nil {
			w.fail("client %d, secure %v, keeps %v: %v", n, secure, keeps, err)
		}
		if ends || err != nil {
			conn.Close()
			conn = nil
		}
		time.Sleep(w.pause)
	}
	if conn != nil {
		conn.Close()
	}
}

// askHTTP2 is a client of HTTP/2. Its transport asks again what the balancer says that it
// has not looked at (GOAWAY), as the protocol has it, and nothing else.
func (w *witness) askHTTP2(n int) {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: w.trust.Clone()}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 30 * time.Second}
	for !w.ended() {
		w.requests.Add(1)
		resp, err := client.Get("https://" + w.address + ":8443/")
		if err != nil {
			w.fail("client %d of HTTP/2: %v", n, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || string(body) != "page" {
			w.fail("client %d: %s %s %q, %v", n, resp.Proto, resp.Status, body, err)
		}
		time.Sleep(w.pause)
	}
}

// exchangePage asks once, and says whether the connection ends with the answer.
func exchangePage(conn net.Conn, in *bufio.Reader, path string, keeps bool) (ends bool, err error) {
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	head := "GET " + path + " HTTP/1.1\r\nHost: www.a.test\r\n"
	if !keeps {
		head += "Connection: close\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return true, err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return true, err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(body) != "page") {
		err = fmt.Errorf("%s: %s %q", path, resp.Status, body)
	}
	return resp.Close, err
}

// chat holds a WebSocket until the end. Each word that it says must come back.
func (w *witness) chat(n int, secure bool, opened func()) {
	conn, err := w.dial(secure)
	if err != nil {
		w.fail("WebSocket %d: %v", n, err)
		opened()
		return
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: www.a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	resp, err := http.ReadResponse(in, nil)
	opened()
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		w.fail("WebSocket %d: %v, %v", n, resp, err)
		return
	}
	for i := 0; !w.ended(); i++ {
		word := fmt.Sprintf("word %d of %d", i, n)
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(conn, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != word {
			w.fail("WebSocket %d: %q, %v, want %q", n, got, err, word)
			return
		}
		w.echoes.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
}

// echoing is a server that echoes what WebSockets say.
func echoing(t *testing.T) (port string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, rw)
	}))
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return port
}

// TestZeroLoss goes through everything that may change under clients, the daemon's program
// among it, while they ask: on connections that they keep, on new ones, with TLS and
// without, and over WebSockets. With -long until 100,000 requests were sent.
func TestZeroLoss(t *testing.T) {
	kept, fresh, chats, wanted, pause := 40, 10, 8, int64(2000), 5*time.Millisecond
	if *long {
		kept, fresh, chats, wanted, pause = 200, 50, 20, 100_000, 2*time.Millisecond
	}
	c := lossy{network: network(t), weight: 70, group: "blue", certificate: "www", scheduler: "wrr", chat: echoing(t)}
	f := newFolder(t, builtPlain, c.text())
	newer, err := builtFailpoints()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"www.crt", "www.key", "renewed.crt", "renewed.key"} {
		f.copy("../../testdata/certificates/"+name, name)
	}
	f.must("apply", "-auto-approve")
	changes, upgrades := 0, 0
	w := &witness{t: t, ends: make(chan struct{}), pause: pause, trust: &tls.Config{ServerName: "www.a.test", RootCAs: x509.NewCertPool()}}
	w.trust.ClientSessionCache = tls.NewLRUClientSessionCache(100)
	root, err := os.ReadFile("../../testdata/certificates/ca.crt")
	if err != nil || !w.trust.RootCAs.AppendCertsFromPEM(root) {
		t.Fatal(err)
	}
	w.address = f.balancer()
	var opened sync.WaitGroup
	for n := range chats {
		opened.Add(1)
		w.running.Go(func() { w.chat(n, n%4 == 0, opened.Done) })
	}
	opened.Wait()
	for n := range kept {
		w.running.Go(func() {
			if n%8 == 0 {
				w.askHTTP2(n)
				return
			}
			w.ask(n, n%4 == 0, true)
		})
	}
	for n := range fresh {
		w.running.Go(func() { w.ask(n, n%4 == 0, false) })
	}
	defer func() {
		close(w.ends)
		w.running.Wait()
		t.Logf("%d changes, %d of them upgrades", changes, upgrades)
		t.Logf("%d requests on %d connections (%d resumed sessions of TLS), %d failed; %d WebSockets, %d words",
			w.requests.Load(), w.connections.Load(), w.resumed.Load(), w.failed.Load(), chats, w.echoes.Load())
		if w.failed.Load() == 0 && w.requests.Load() < wanted {
			t.Errorf("only %d requests", w.requests.Load())
		}
	}()

	programs := []string{f.exe, newer}
	apply := func(sign string, more ...string) func() {
		return func() {
			f.write(c.text())
			if out := f.must(append([]string{"apply", "-auto-approve"}, more...)...); !strings.Contains(out, sign) {
				t.Errorf("it is another change than was meant:\n%s", out)
			}
		}
	}
	steps := []struct {
		name string
		do   func()
		set  func()
	}{
		{"a weight", apply(`.weight = `), func() { c.weight = 110 - c.weight }},
		{"a backend added", apply(`+ backend["instance.web[2]"]`), func() { c.extra = true }},
		{"the program", func() {
			upgrades++
			f.exe = programs[upgrades%2]
			f.must("runtime", "upgrade")
		}, func() {}},
		{"a backend removed", apply(`- backend["instance.web[2]"]`), func() { c.extra = false }},
		{"a group swapped", apply(`server_group = `), func() { c.group = map[string]string{"blue": "green", "green": "blue"}[c.group] }},
		{"a rule added", apply(`+ load_balancer`), func() { c.rule = true }},
		{"a certificate", apply(`~ certificate.own`), func() { c.certificate = map[string]string{"www": "renewed", "renewed": "www"}[c.certificate] }},
		{"a scheduler", apply(`scheduler = `), func() { c.scheduler = map[string]string{"wrr": "wlc", "wlc": "rr", "rr": "wrr"}[c.scheduler] }},
		{"a listener added", apply(`+ load_balancer`), func() { c.other = true }},
		{"a listener removed", apply(`- load_balancer`), func() { c.other = false }},
		{"a listener replaced", apply(`-/+ load_balancer.lb.listener["http:80"]`, `-replace=load_balancer.lb.listener["http:80"]`), func() {}},
		{"a rule removed", apply(`- load_balancer`), func() { c.rule = false }},
		{"the program again", func() {
			upgrades++
			f.exe = programs[upgrades%2]
			f.must("runtime", "upgrade")
		}, func() {}},
	}
	for round := 0; round == 0 || w.requests.Load() < wanted && !t.Failed(); round++ {
		for _, step := range steps {
			before := w.failed.Load()
			step.set()
			step.do()
			changes++
			if n := w.failed.Load() - before; n > 0 {
				t.Errorf("round %d, %s: %d failed", round, step.name, n)
			}
		}
	}
	for end := time.Now().Add(time.Minute); w.requests.Load() < wanted && time.Now().Before(end) && !t.Failed(); {
		time.Sleep(10 * time.Millisecond)
	}
}

// balancer is the address of the one balancer.
func (f *folder) balancer() string {
	var live struct {
		LoadBalancers []struct{ IP string } `json:"load_balancers"`
	}
	f.document(&live, "status", "-json")
	return live.LoadBalancers[0].IP
}
