package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"slbctl/sim"
	"slbctl/spec"
)

const agreeWebConfig = `
runtime {
  network     = "%[1]s"
  port_offset = 8000
  loops       = %[2]d
}
instance "web" {
  count = 4
  page "/" { content = "instance.web[${count.index}]" }
  page "/tom" { content = "instance.web[${count.index}]" }
  page "/jerry" {
    content = "instance.web[${count.index}]"
    headers = { Set-Cookie = "SID=of-server-${count.index}" }
  }
}
server_group "tom" {
  backend {
    instance = instance.web[0]
    weight   = 1
  }
  backend {
    instance = instance.web[1]
    weight   = 2
  }
}
server_group "all" {
  backend { instance = instance.web }
}
acl "office" { entries = ["127.201.0.0/27", "127.202.0.0/16"] }

load_balancer "lb" {
  listener "http" "80" {
    server_group = server_group.all
    scheduler    = "rr"
    idle_timeout = 60
    acl          = acl.office
    acl_type     = "white"
    sticky_session {
      type           = "insert"
      cookie_timeout = "1h"
    }
    rule "tom" {
      domain       = "www.aaa.com"
      url          = "/tom"
      server_group = server_group.tom
      scheduler    = "wrr"
    }
    rule "jerry" {
      domain       = "www.aaa.com"
      url          = "/jerry"
      server_group = server_group.all
      sticky_session {
        type   = "server"
        cookie = "SID"
      }
    }
    rule "old" {
      domain = "old.aaa.com"
      redirect { port = 81 }
    }
  }
  listener "http" "81" { server_group = server_group.all }
}
simulation "requests" {
  target   = load_balancer.lb
  listener = "http:80"
  duration = "10s"
  traffic "browsers" {
    rate     = 600
    arrivals = "constant"
    clients  = { count = 60, network = "127.201.0.0/26" }
    session  = { requests = 7, connections = 2 }
    request  = [
      { weight = 4, host = "www.aaa.com", path = "/tom" }, { host = "www.aaa.com", path = "/%%74om?x" },
      { weight = 3, host = "www.aaa.com", path = "/jerry" }, { host = "www.aaa.com", path = "/none" },
      { host = "old.aaa.com" }, { weight = 2, host = "www.bbb.com" }, { path = "/x/../tom" },
    ]
  }
  traffic "programs" {
    rate     = 400
    arrivals = "constant"
    clients  = { count = 5, network = "127.202.0.0/24" }
    session  = { cookies = false }
    request  = [{ host = "www.aaa.com", path = "/tom" }, {}]
  }
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["http:80"].url, "http://") }
`

// TestSimAndLiveAgreeOnRequests is TestSimAndLiveAgree for a listener of HTTP: rules, an
// access list, cookies of both kinds, clients that keep theirs and clients that do not.
// The clients send what the balancer's own answers told them, on connections that they
// keep; and it is the answer that is compared.
func TestSimAndLiveAgreeOnRequests(t *testing.T) {
	const requests = 10_000
	for _, loops := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) {
			t.Parallel()
			f := newFolder(t, builtPlain, fmt.Sprintf(agreeWebConfig, network(t), loops))
			f.must("apply", "-auto-approve")
			picks := simulated(t, f.dir, "requests")
			if len(picks) != requests {
				t.Fatalf("the simulator made %d requests", len(picks))
			}
			live := audience{endpoint: f.must("output", "-raw", "endpoint"), members: map[string]*member{}}
			defer live.close()
			seen := map[sim.Outcome]int{}
			for i := range picks {
				p := &picks[i]
				got, err := live.ask(p)
				if err != nil {
					t.Fatalf("request %d, from %v for %s%s: %v", i, p.Client.Source, p.Host, p.Path, err)
				}
				if want := strings.TrimSpace(fmt.Sprint(p.Outcome, " ", p.Backend)); got != want {
					t.Fatalf("request %d, from %v for %s%s: %s, the simulator says %s", i, p.Client.Source, p.Host, p.Path, got, want)
				}
				seen[p.Outcome]++
			}
			for _, o := range []sim.Outcome{sim.Served, sim.Denied, sim.Redirected, sim.NotFound, sim.Refused} {
				if seen[o] < 100 {
					t.Errorf("only %d requests were %v", seen[o], o)
				}
			}
		})
	}
}

// audience is the clients of a simulation, come alive.
type audience struct {
	endpoint string
	members  map[string]*member // by address
}

type member struct {
	conn net.Conn // nil = none
	in   *bufio.Reader
	jars map[string]map[string]string // cookies by host and name
}

// ask makes one request as its client would, and tells what became of it in the words of
// the simulator.
func (a *audience) ask(p *sim.Pick) (string, error) {
	address, m := p.Client.Source.Addr(), a.visitor(p)
	if m.conn == nil {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: address.AsSlice()}, Timeout: 10 * time.Second}
		conn, err := d.Dial("tcp", a.endpoint)
		if err != nil {
			return sim.Denied.String(), nil // reset before we knew that we were connected
		}
		m.conn, m.in = conn, bufio.NewReader(conn)
	}
	cookies := m.cookies(p.Host)
	head := "GET " + p.Path + " HTTP/1.1\r\nHost: " + p.Host + "\r\n"
	if len(cookies) > 0 {
		head += "Cookie: " + strings.Join(cookies, "; ") + "\r\n"
	}
	_ = m.conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err := io.WriteString(m.conn, head+"\r\n")
	if err == nil {
		_, err = m.in.Peek(1)
	}
	if err != nil {
		m.hangUp()
		return sim.Denied.String(), nil
	}
	return m.answer(p)
}

// visitor is who makes a request; a session begins without cookies and connection.
func (a *audience) visitor(p *sim.Pick) *member {
	address := p.Client.Source.Addr().String()
	m := a.members[address]
	if m == nil {
		m = &member{jars: map[string]map[string]string{}}
		a.members[address] = m
	}
	if p.First {
		m.hangUp()
		clear(m.jars)
	}
	return m
}

// cookies are those that a client sends to a host.
func (m *member) cookies(host string) (list []string) {
	for name, value := range m.jars[host] {
		list = append(list, name+"="+value)
	}
	return list
}

// answer reads the answer to a request, and takes its cookies.
func (m *member) answer(p *sim.Pick) (string, error) {
	answer, err := http.ReadResponse(m.in, &http.Request{Method: "GET"})
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.Close {
		m.hangUp()
	}
	// The programs of the simulation keep no cookies.
	if keeps := !strings.HasPrefix(p.Client.Source.Addr().String(), "127.202."); keeps && m.jars[p.Host] == nil {
		m.jars[p.Host] = map[string]string{}
	} else if !keeps {
		answer.Header.Del("Set-Cookie")
	}
	for _, c := range answer.Cookies() {
		m.jars[p.Host][c.Name] = c.Value
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return sim.Served.String() + " " + string(body), nil
	case http.StatusFound:
		return sim.Redirected.String(), nil
	case http.StatusNotFound:
		return sim.NotFound.String(), nil
	case http.StatusBadRequest:
		return sim.Refused.String(), nil
	case spec.FaultStatus:
		return sim.Errored.String(), nil
	}
	return answer.Status, nil
}

func (m *member) hangUp() {
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
}

func (a *audience) close() {
	for _, m := range a.members {
		m.hangUp()
	}
}
