package dns

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"

	"slbctl/spec"
)

// served is a Server that answers www.abc.com with an address.
func served(t *testing.T, address string) *Server {
	t.Helper()
	s := New()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	zones, err := Compile([]*spec.DNSZone{zoneOf("abc.com", "www A 600 "+address)})
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(zones)
	return s
}

// TestHandover: queries that come while nobody takes them are answered by who does next,
// and who has a connection goes on where it is.
func TestHandover(t *testing.T) {
	old := served(t, "127.0.0.1")
	if err := old.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	addr := old.Addr().String()
	answered := func(network, want string) {
		t.Helper()
		r := exchange(t, network, addr, ask("www.abc.com.", "A"))
		if len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != want {
			t.Errorf("%s: %v, want %s", network, r.Answer, want)
		}
	}
	stands, err := dns.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer stands.Close()
	onIt := func(want string) {
		t.Helper()
		client := dns.Client{Net: "tcp", Timeout: 5 * time.Second}
		r, _, err := client.ExchangeWithConn(ask("www.abc.com.", "A"), stands)
		if err != nil || len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != want {
			t.Errorf("on the connection that stands: %v, %v, want %s", r, err, want)
		}
	}
	onIt("127.0.0.1")

	next := served(t, "127.0.0.2")
	udp, tcp, err := old.Files()
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Adopt(old.Addr(), udp, tcp); err != nil {
		t.Fatal(err)
	}
	// It does not answer before it is told to, nor does the old one in a pause.
	for range 20 {
		answered("udp", "127.0.0.1")
		answered("tcp", "127.0.0.1")
	}
	old.Pause()
	waiting := make(chan string, 2)
	for _, network := range []string{"udp", "tcp"} {
		go func() {
			client := dns.Client{Net: network, Timeout: 10 * time.Second}
			r, _, err := client.Exchange(ask("www.abc.com.", "A"), addr)
			if err != nil || len(r.Answer) != 1 {
				waiting <- network + " failed"
				return
			}
			waiting <- r.Answer[0].(*dns.A).A.String()
		}()
	}
	onIt("127.0.0.1")
	next.Resume()
	for range 2 {
		// A query that met the very moment of the pause may still be the old one's.
		if who := <-waiting; who != "127.0.0.1" && who != "127.0.0.2" {
			t.Errorf("who waited got %s", who)
		}
	}
	left := make(chan error)
	go func() { left <- old.Leave() }()
	for range 20 {
		answered("udp", "127.0.0.2")
		answered("tcp", "127.0.0.2")
	}
	onIt("127.0.0.1")
	stands.Close()
	if err := <-left; err != nil {
		t.Error(err)
	}
	answered("udp", "127.0.0.2")

	// And back: what was paused goes on when nobody takes over.
	next.Pause()
	impatient := dns.Client{Timeout: 20 * time.Millisecond}
	for err = nil; err == nil; {
		_, _, err = impatient.Exchange(ask("www.abc.com.", "A"), addr)
	}
	next.Resume()
	answered("udp", "127.0.0.2")
	answered("tcp", "127.0.0.2")
}

// TestAdoptNothing: files that are no sockets are refused and closed.
func TestAdoptNothing(t *testing.T) {
	open := func() *os.File {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	s, a, b := New(), open(), open()
	if err := s.Adopt(netip.MustParseAddrPort("127.0.0.1:53"), a, b); err == nil {
		t.Error("accepted")
	}
	if a.Close() == nil || b.Close() == nil {
		t.Error("a file is left open")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
