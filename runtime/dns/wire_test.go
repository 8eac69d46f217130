package dns

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func packed(t testing.TB, change func(*dns.Msg)) []byte {
	t.Helper()
	query := ask("www.abc.com.", "A")
	query.Id = 0xabcd
	change(query)
	packet, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// raw makes a header with the given flags and one question of the given bytes.
func raw(flags uint16, questions uint16, rest ...byte) []byte {
	packet := []byte{0xab, 0xcd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(packet[2:], flags)
	binary.BigEndian.PutUint16(packet[4:], questions)
	return append(packet, rest...)
}

// loopback is where the packets come from that are not sent.
var loopback = netip.MustParseAddr("127.0.0.1")

func oddPackets(t testing.TB) map[string]struct {
	packet []byte
	rcode  int // -1 = no answer
} {
	type odd = struct {
		packet []byte
		rcode  int
	}
	long := strings.Repeat(strings.Repeat("a", 63)+".", 3)
	return map[string]odd{
		"empty":                 {nil, -1},
		"half a header":         {raw(0, 1)[:7], -1},
		"an answer":             {packed(t, func(m *dns.Msg) { m.Response = true }), -1},
		"an answer, unreadable": {raw(0x8000, 1, 0xff), -1},
		"header only":           {raw(0, 0), dns.RcodeFormatError},
		"no question bytes":     {raw(0, 1), dns.RcodeFormatError},
		"two questions":         {packed(t, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		"pointer to itself":     {raw(0, 1, 0xc0, 0x0c, 0, 1, 0, 1), dns.RcodeFormatError},
		"pointer past the end":  {raw(0, 1, 0xff, 0xff, 0, 1, 0, 1), dns.RcodeFormatError},
		"label past the end":    {raw(0, 1, 63, 'a', 0, 0, 1, 0, 1), dns.RcodeFormatError},
		"reserved label type":   {raw(0, 1, 0x80, 'a', 0, 0, 1, 0, 1), dns.RcodeFormatError},
		"longest labels":        {packed(t, func(m *dns.Msg) { m.Question[0].Name = long + "abc.com." }), dns.RcodeNameError},
		"name of 255 bytes": {packed(t, func(m *dns.Msg) {
			m.Question[0].Name = long + strings.Repeat("b", 52) + ".abc.com."
		}), dns.RcodeNameError},
		"NOTIFY":       {packed(t, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented},
		"UPDATE":       {packed(t, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
		"opcode 15":    {packed(t, func(m *dns.Msg) { m.Opcode = 15 }), dns.RcodeNotImplemented},
		"class CH":     {packed(t, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), dns.RcodeRefused},
		"class ANY":    {packed(t, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }), dns.RcodeRefused},
		"type MAILB":   {packed(t, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeMAILB }), dns.RcodeRefused},
		"type 0":       {packed(t, func(m *dns.Msg) { m.Question[0].Qtype = 0 }), dns.RcodeSuccess},
		"unknown type": {packed(t, func(m *dns.Msg) { m.Question[0].Qtype = 65000 }), dns.RcodeSuccess},
		"junk behind":  {append(packed(t, func(*dns.Msg) {}), "junk"...), dns.RcodeSuccess},
	}
}

func TestOddPackets(t *testing.T) {
	zones, err := Compile(quickstart)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range oddPackets(t) {
		t.Run(name, func(t *testing.T) {
			out := respond(zones, test.packet, loopback, false)
			if test.rcode < 0 {
				if out != nil {
					t.Errorf("answered %x", out)
				}
				return
			}
			var got dns.Msg
			if err := got.Unpack(out); err != nil || got.Rcode != test.rcode || !got.Response || got.Id != 0xabcd {
				t.Errorf("got %v, %v; want %s", &got, err, dns.RcodeToString[test.rcode])
			}
			if opcode := int(test.packet[2] >> 3 & 0xf); got.Opcode != opcode {
				t.Errorf("opcode %d, want %d", got.Opcode, opcode)
			}
		})
	}
}

// The server goes on answering after every odd packet, over UDP and TCP.
func TestOddPacketsOnSockets(t *testing.T) {
	addr := start(t, quickstart)
	for name, test := range oddPackets(t) {
		conn, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(test.packet)
		stream, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(test.packet))), test.packet...))
		for _, network := range []string{"udp", "tcp"} {
			if got := exchange(t, network, addr, ask("www.abc.com.", "A")); len(got.Answer) != 1 {
				t.Errorf("after %s: %v", name, got)
			}
		}
		if test.rcode < 0 { // over TCP the connection ends
			_ = stream.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, err := stream.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: read %d bytes, %v; want a closed connection", name, n, err)
			}
		}
		conn.Close()
		stream.Close()
	}
}

// check holds whatever comes in to what must be true of every answer.
func check(t *testing.T, zones *Zones, packet []byte, tcp bool) {
	out := respond(zones, packet, loopback, tcp)
	if out == nil {
		return
	}
	var got dns.Msg
	if err := got.Unpack(out); err != nil {
		t.Fatalf("unreadable answer %x to %x: %v", out, packet, err)
	}
	if !got.Response || out[0] != packet[0] || out[1] != packet[1] {
		t.Fatalf("answer %x to %x is no answer to it", out, packet)
	}
	limit := dns.MinMsgSize
	if got.IsEdns0() != nil {
		limit = edns
	}
	if !tcp && len(out) > limit {
		t.Fatalf("answer of %d bytes to %x", len(out), packet)
	}
}

func FuzzRespond(f *testing.F) {
	for _, odd := range oddPackets(f) {
		f.Add(odd.packet, false)
	}
	f.Add(packed(f, func(m *dns.Msg) { m.SetEdns0(4096, true) }), false)
	zones, err := Compile(quickstart)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, packet []byte, tcp bool) { check(t, zones, packet, tcp) })
}

func TestMutatedPackets(t *testing.T) {
	zones, err := Compile(quickstart)
	if err != nil {
		t.Fatal(err)
	}
	var seeds [][]byte
	for _, odd := range oddPackets(t) {
		if len(odd.packet) > 0 {
			seeds = append(seeds, odd.packet)
		}
	}
	seeds = append(seeds, packed(t, func(m *dns.Msg) { m.SetEdns0(4096, true) }))
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		packet := append([]byte(nil), seeds[r.IntN(len(seeds))]...)
		for range 1 + r.IntN(4) {
			packet[r.IntN(len(packet))] = byte(r.Uint32())
		}
		check(t, zones, packet[:r.IntN(len(packet)+1)], r.IntN(2) == 0)
	}
}

func TestPanicIsContained(t *testing.T) {
	s := New()
	// An impossible zone: the alias is not a CNAME.
	s.Serve(&Zones{byApex: map[string]*zone{"abc.com.": {apex: "abc.com.", nodes: map[string]node{
		"www.abc.com.": {dns.TypeCNAME: always(&dns.A{})},
	}}}})
	out := s.respond(packed(t, func(*dns.Msg) {}), loopback, false)
	var got dns.Msg
	if err := got.Unpack(out); err != nil || got.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %v, %v", &got, err)
	}
}

// Several queries on one TCP connection, sent at once, are answered in order.
func TestPipelining(t *testing.T) {
	conn, err := net.Dial("tcp", start(t, quickstart))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	const n = 50
	var all []byte
	for id := range uint16(n) {
		packet := packed(t, func(m *dns.Msg) { m.Id = id })
		all = append(binary.BigEndian.AppendUint16(all, uint16(len(packet))), packet...)
	}
	if _, err := conn.Write(all); err != nil {
		t.Fatal(err)
	}
	c := dns.Conn{Conn: conn}
	for id := range uint16(n) {
		got, err := c.ReadMsg()
		if err != nil || got.Id != id || len(got.Answer) != 1 {
			t.Fatalf("answer %d: %v, %v", id, got, err)
		}
	}
}

// Silent clients hold no more than the limit, cost UDP nothing, and Close ends them.
func TestConnectionLimit(t *testing.T) {
	s := New()
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for range tcpLimit + 50 {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	deadline := time.Now().Add(30 * time.Second)
	for open := 0; open < tcpLimit; {
		s.mu.Lock()
		open = len(s.conns)
		s.mu.Unlock()
		if open > tcpLimit || time.Now().After(deadline) {
			t.Fatalf("%d connections open, want %d", open, tcpLimit)
		}
		runtime.Gosched()
	}
	if got := exchange(t, "udp", s.Addr().String(), ask("www.abc.com.", "A")); got.Rcode != dns.RcodeRefused {
		t.Errorf("got %v", got)
	}
	if added := runtime.NumGoroutine() - before; added > tcpLimit+5 {
		t.Errorf("%d goroutines more", added)
	}
	closing := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(closing); took > tcpTimeout/2 {
		t.Errorf("Close took %v: it waited for silent clients", took)
	}
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection outlived Close")
		}
		conn.Close()
	}
}
