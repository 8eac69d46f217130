package webserver

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"slbctl/spec"
)

func udpEcho(endpoint netip.AddrPort) Instance {
	return Instance{Address: "instance.echo", Endpoints: []netip.AddrPort{endpoint}, Protocol: spec.ProtocolUDPEcho, Running: true}
}

// say sends a datagram and returns what comes back.
func say(endpoint netip.AddrPort, p []byte) ([]byte, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(endpoint))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write(p); err != nil {
		return nil, err
	}
	b := make([]byte, longestDatagram)
	n, err := c.Read(b)
	return b[:n], err
}

func TestUDPEcho(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.1")
	set(t, c, udpEcho(endpoint))
	for _, n := range []int{0, 1, 1400, 65507} {
		p := bytes.Repeat([]byte{'x'}, n)
		if got, err := say(endpoint, p); err != nil || !bytes.Equal(got, p) {
			t.Errorf("%d bytes came back as %d, %v", n, len(got), err)
		}
	}
	if err := refused(endpoint); err != nil {
		t.Errorf("TCP at the same port: %v", err)
	}

	// A stop closes the socket: the kernel says so to who sends.
	stopped := udpEcho(endpoint)
	stopped.Running = false
	set(t, c, stopped)
	if got, err := say(endpoint, []byte("hello")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("stopped, it answers %q, %v", got, err)
	}
}

// TestProtocolChangesNetwork turns a page into an echo at the same endpoint and back.
func TestProtocolChangesNetwork(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.2")
	for range 2 {
		set(t, c, web("instance.echo", "page", endpoint))
		if got := get(t, endpoint); !strings.Contains(got, "page") {
			t.Errorf("got %q", got)
		}
		if _, err := say(endpoint, nil); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("UDP at a page's port: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		set(t, c, udpEcho(endpoint))
		if got, err := say(endpoint, []byte("hello")); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
		if err := refused(endpoint); err != nil {
			t.Errorf("TCP at an echo's port: %v", err)
		}
	}
}

// TestUDPPortIsTaken changes nothing and names who has the port.
func TestUDPPortIsTaken(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.3")
	other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	page := freeEndpoint(t, "127.20.0.3")
	err = c.Set(t.Context(), []Instance{web("instance.page", "page", page), udpEcho(endpoint)})
	if err == nil || !strings.Contains(err.Error(), "instance.echo: udp port "+endpoint.String()+": already in use by this process") {
		t.Errorf("error %v", err)
	}
	if err := refused(page); err != nil {
		t.Errorf("half of the change is there: %v", err)
	}
}
