//go:build linux

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/spec"
)

// victimSite in the environment makes the test binary a web server at that endpoint.
const victimSite = "PROXY_TEST_VICTIM_SITE"

// victim runs that server until it is killed: it says on standard output when it
// listens, then the body of each POST before it answers.
func victim() bool {
	at := os.Getenv(victimSite)
	if at == "" {
		return false
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		panic(err)
	}
	fmt.Println("listening")
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); r.Method == http.MethodPost {
			fmt.Printf("%s\n", b)
		}
		time.Sleep(time.Millisecond) // it is killed with requests in flight
		io.WriteString(w, "ok")
	})))
}

// killable is a server in a process of its own.
type killable struct {
	at    netip.AddrPort
	child *exec.Cmd
	read  sync.WaitGroup
	posts func(body string)
}

// start returns when the server listens.
func (v *killable) start(t *testing.T) {
	v.child = exec.Command(os.Args[0])
	v.child.Env = append(os.Environ(), victimSite+"="+v.at.String())
	v.child.Stderr = os.Stderr
	out, err := v.child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "listening" {
		t.Fatalf("the server said %q", lines.Text())
	}
	v.read.Go(func() {
		for lines.Scan() {
			v.posts(lines.Text())
		}
	})
}

func (v *killable) kill() {
	_ = v.child.Process.Kill()
	v.read.Wait()
	_ = v.child.Wait() // "signal: killed"
}

// TestHTTPKilledServers kills real servers under load: no client is told of it whose
// request may be sent twice, and no other request is.
func TestHTTPKilledServers(t *testing.T) {
	kills, requests := 50, int64(10_000)
	if testing.Short() || raceDetector {
		kills, requests = 10, 1000
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var victims []*killable
	var endpoints []netip.AddrPort
	for i := range 3 {
		// At an address of its own, no port of which a client can be given meanwhile.
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}), closedPort(t).Port())
		v := &killable{at: at, posts: func(body string) {
			mu.Lock()
			defer mu.Unlock()
			seen[body]++
		}}
		v.start(t)
		defer v.kill()
		victims, endpoints = append(victims, v), append(endpoints, v.at)
	}
	_, k, h := web(t, 2, httpListenerOf(endpoints...))
	var stop atomic.Bool
	var gets, posts, failed atomic.Int64
	var rounds [8]atomic.Int64 // of each client
	var running sync.WaitGroup
	for client := range rounds {
		c := browser(t)
		running.Go(func() {
			defer c.CloseIdleConnections()
			for n := 0; !stop.Load() || gets.Load() < requests || posts.Load() < requests; n++ {
				rounds[client].Add(1)
				if n%2 == 0 {
					res, err := c.Get(urlOf(k, "/"))
					if err != nil {
						t.Error(err)
						return
					}
					b, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil || res.StatusCode != 200 || string(b) != "ok" {
						t.Errorf("GET: %d %q, %v", res.StatusCode, b, err)
					}
					gets.Add(1)
					continue
				}
				res, err := c.Post(urlOf(k, "/"), "text/plain", strings.NewReader(fmt.Sprint(client, "/", n)))
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if posts.Add(1); res.StatusCode != 200 {
					failed.Add(1)
				}
			}
		})
	}
	for i := range kills {
		v := victims[i%len(victims)]
		v.kill()
		v.start(t)
		// A request is promised to survive one server, so those that have lost one come first.
		for client := range rounds {
			begun := rounds[client].Load()
			eventually(t, "a client asks again", func() bool { return rounds[client].Load() > begun })
		}
	}
	stop.Store(true)
	running.Wait()
	n := atRest(t, h)
	for _, v := range victims {
		v.kill()
	}
	t.Logf("%d GETs and %d POSTs during %d kills; %d POSTs failed; counted %+v", gets.Load(), posts.Load(), kills, failed.Load(), n)
	twice := 0
	for _, times := range seen {
		if times > 1 {
			twice++
		}
	}
	if twice > 0 || int64(len(seen)) < posts.Load()-failed.Load() {
		t.Errorf("%d POSTs were sent twice; %d of %d came", twice, len(seen), posts.Load())
	}
}

// TestHTTPServerLostBeforeItsAnswer has a server that takes a request and resets the
// connection.
func TestHTTPServerLostBeforeItsAnswer(t *testing.T) {
	var asked atomic.Int64
	lost := startBackend(t, func(c *net.TCPConn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			asked.Add(1)
			c.SetLinger(0)
		}
	})
	for _, test := range []struct {
		name     string
		request  string
		retry    spec.Retry
		backends []netip.AddrPort
		status   int
		asked    int64 // servers that are lost
	}{
		{"GET", getLine("/"), spec.Retry{Connect: true}, []netip.AddrPort{lost, always(t, ok)}, 200, 1},
		{"PUT", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", spec.Retry{Connect: true}, []netip.AddrPort{lost, always(t, ok)}, 200, 1},
		{"POST", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", spec.Retry{Connect: true, Timeout: true, Status5x: true},
			[]netip.AddrPort{lost, always(t, ok)}, 502, 1},
		{"once", getLine("/"), spec.Retry{Connect: true}, []netip.AddrPort{lost, lost, always(t, ok)}, 502, 2},
		{"as often as the listener says", getLine("/"), spec.Retry{Connect: true, Timeout: true}, []netip.AddrPort{lost, lost, always(t, ok)}, 200, 2},
		{"not at all", getLine("/"), spec.Retry{}, []netip.AddrPort{lost, always(t, ok)}, 502, 1},
		{"nobody else", getLine("/"), spec.Retry{Connect: true}, []netip.AddrPort{lost}, 502, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked.Store(0)
			l := httpListenerOf(test.backends...)
			l.Retry = test.retry
			_, k, h := web(t, 1, l)
			c := talkTo(t, k)
			c.say(test.request)
			c.want(test.status, "*")
			c.Close()
			n := atRest(t, h)
			errors := int64(0)
			for _, b := range n.Backends {
				errors += b.Errors
			}
			if asked.Load() != test.asked || errors != test.asked {
				t.Errorf("%d servers were lost, %d errors counted; want %d", asked.Load(), errors, test.asked)
			}
		})
	}
}

// TestHTTPWithoutRetries has a listener that wants no server but the first to be tried.
func TestHTTPWithoutRetries(t *testing.T) {
	l := httpListenerOf(closedPort(t), always(t, ok))
	l.Retry = spec.Retry{}
	_, k, h := web(t, 1, l)
	c := talkTo(t, k)
	for _, status := range []int{502, 200, 502, 200} {
		c.say(getLine("/"))
		c.want(status, "*")
	}
	c.Close()
	if n := atRest(t, h); n.Errors != 2 || n.Backends["a"].Errors != 2 {
		t.Errorf("counted %+v", n)
	}
}
