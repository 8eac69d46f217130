package webserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

func TestErrorRate(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.6")
	i := web("instance.a", "fine", endpoint)
	i.Fault = &spec.InstanceFault{ErrorRate: 0.25, Status: 502}
	set(t, c, i)
	var answers string
	for n := range 12 {
		if n == 6 {
			set(t, c, i) // the same fault goes on where it was
		}
		response, err := http.Get("http://" + endpoint.String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		answers += fmt.Sprintf("%d ", response.StatusCode)
	}
	if want := strings.Repeat("200 200 200 502 ", 3); answers != want {
		t.Errorf("a quarter of errors is %s, want %s", answers, want)
	}
	i.Fault = nil
	set(t, c, i)
	if body := get(t, endpoint); body != "fine" {
		t.Errorf("got %q", body)
	}
}

func TestDelayAndSlowBody(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.7")
	i := web("instance.a", strings.Repeat("x", 1000), endpoint)
	const lag = 300 * time.Millisecond
	ask := func() (header time.Duration) {
		begin := time.Now()
		response, err := http.Get("http://" + endpoint.String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		header = time.Since(begin)
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if all := time.Since(begin); err != nil || len(body) != 1000 || all < lag {
			t.Errorf("%d bytes after %s, %v", len(body), all, err)
		}
		return header
	}
	i.Fault = &spec.InstanceFault{Delay: lag}
	set(t, c, i)
	if header := ask(); header < lag {
		t.Errorf("with a delay the header came after %s", header)
	}
	i.Fault = &spec.InstanceFault{SlowBody: lag}
	set(t, c, i)
	header := ask()
	for n := 0; n < 5 && header >= lag; n++ { // the machine may have stood still, but not every time
		header = ask()
	}
	if header >= lag {
		t.Errorf("with a slow body the header came after %s", header)
	}
}

// TestHang shows that an instance accepts and does not answer, and that who waits is let
// go without an answer when the fault ends.
func TestHang(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.8")
	i := web("instance.a", "fine", endpoint)
	i.Fault = &spec.InstanceFault{Hang: true}
	set(t, c, i)
	conn, err := net.Dial("tcp", endpoint.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if b, err := bufio.NewReader(conn).ReadByte(); err == nil {
		t.Errorf("it answers: %q", b)
	}
	i.Fault = nil
	set(t, c, i)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the fault: %d bytes, %v, want the end of the connection", n, err)
	}
	if body := get(t, endpoint); body != "fine" {
		t.Errorf("got %q", body)
	}
}

func TestRefuse(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.9")
	i := web("instance.a", "fine", endpoint)
	i.Fault = &spec.InstanceFault{Refuse: true}
	set(t, c, i)
	if err := refused(endpoint); err != nil {
		t.Error(err)
	}
	if got, err := c.Status(t.Context()); err != nil || !got[0].Running {
		t.Errorf("status %+v, %v", got, err)
	}
	i.Fault = nil
	set(t, c, i)
	if body := get(t, endpoint); body != "fine" {
		t.Errorf("got %q", body)
	}
}

func TestEchoFaults(t *testing.T) {
	c := child(t)
	endpoint, datagrams := freeEndpoint(t, "127.20.0.10"), freeEndpoint(t, "127.20.0.11")
	i := web("instance.a", "", endpoint)
	i.Protocol, i.Pages = spec.ProtocolTCPEcho, nil
	udp := udpEcho(datagrams)
	wait := 20 * time.Second
	ask := func() (string, time.Duration) {
		conn, err := net.Dial("tcp", endpoint.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := time.Now()
		io.WriteString(conn, "x")
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		b := make([]byte, 1)
		n, _ := conn.Read(b)
		return string(b[:n]), time.Since(begin)
	}
	i.Fault, udp.Fault = &spec.InstanceFault{Delay: 200 * time.Millisecond}, &spec.InstanceFault{Hang: true}
	set(t, c, i, udp)
	if got, after := ask(); got != "x" || after < 200*time.Millisecond {
		t.Errorf("%q after %s", got, after)
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(datagrams))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("x"))
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes come back", n)
	}
	wait = 500 * time.Millisecond
	i.Fault, udp.Fault = &spec.InstanceFault{Hang: true}, nil
	set(t, c, i, udp)
	if got, _ := ask(); got != "" {
		t.Errorf("it answers %q", got)
	}
	hung, err := net.Dial("tcp", endpoint.String())
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	hung.Write([]byte("x"))
	i.Fault = nil
	set(t, c, i, udp)
	_ = hung.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := hung.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the fault: %d bytes, %v, want the end of the connection", n, err)
	}
	if got, err := say(datagrams, []byte("y")); err != nil || string(got) != "y" {
		t.Errorf("after the fault: %q, %v", got, err)
	}
}
