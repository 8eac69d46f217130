//go:build linux

package proxy

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

const quicIDLength = 8

// quicLong is a packet with a long header: of a client's first flight, or a server's answer.
func quicLong(destination, source []byte) []byte {
	p := []byte{0xc3, 0, 0, 0, 1, byte(len(destination))}
	p = append(append(p, destination...), byte(len(source)))
	return append(append(p, source...), "sealed"...)
}

// quicShort is a packet with a short header.
func quicShort(destination []byte) []byte {
	return append(append([]byte{0x43}, destination...), "sealed"...)
}

// quicServer stands in for a QUIC server: it answers a first packet with an id of its
// own choice, and says its name in every answer's last byte.
func quicServer(t testing.TB, name byte) netip.AddrPort {
	chosen := uint64(0)
	return startUDPBackend(t, func(p []byte, _ netip.AddrPort) []byte {
		out := quicShort(nil)
		if longHeader(p) {
			chosen++
			client, _ := sourceConnectionID(p)
			out = quicLong(client, binary.BigEndian.AppendUint64([]byte{}, uint64(name)<<56|chosen))
		}
		return append(out, name)
	})
}

func quicListener(t testing.TB) *balance.Listener {
	l := udpListenerOf(quicServer(t, 'a'), quicServer(t, 'b'), quicServer(t, 'c'), quicServer(t, 'd'))
	l.Scheduler, l.QUICIDLength = spec.SchedulerQCH, quicIDLength
	return l
}

// askQUIC sends a packet and returns the server's name and the id that it chose.
func askQUIC(t testing.TB, c *net.UDPConn, p []byte) (name byte, id []byte) {
	t.Helper()
	sendUDP(t, c, p)
	got := receiveUDP(t, c)
	id, _ = sourceConnectionID(got)
	return got[len(got)-1], id
}

func TestQUICKeepsItsServer(t *testing.T) {
	k, h := balancedUDP(t, 2, quicListener(t))
	servers := map[byte]int{}
	for n := range 40 {
		first := fmt.Appendf(nil, "client%02d", n)
		c := udpClient(t, k)
		server, chosen := askQUIC(t, c, quicLong(first, []byte("cl")))
		servers[server]++
		want := func(what string, c *net.UDPConn, p []byte) {
			t.Helper()
			if got, _ := askQUIC(t, c, p); got != server {
				t.Errorf("connection %d: %s reached %c, not %c", n, what, got, server)
			}
		}
		want("the id that the server chose", c, quicShort(chosen))
		want("a first packet sent again from another address", udpClient(t, k), quicLong(first, []byte("cl")))
		want("the server's id from another address", udpClient(t, k), quicShort(chosen))
		// The server has handed this one out in a sealed packet.
		handed := fmt.Appendf(nil, "handed%02d", n)
		want("a new id from a known address", c, quicShort(handed))
		want("that id from another address", udpClient(t, k), quicShort(handed))
		want("a packet without an id", c, []byte{0x40})
	}
	if len(servers) != 4 {
		t.Errorf("connections by server: %v, want all four used", servers)
	}
	if d := k.Dropped(); d != (Dropped{}) {
		t.Errorf("dropped %+v", d)
	}
	if e := sumErrors(h); e != 0 {
		t.Errorf("%d errors", e)
	}
}

// TestQUICOneSocketManyConnections has a client use one address for all of its
// connections: it has a session with each server, not one for each connection.
func TestQUICOneSocketManyConnections(t *testing.T) {
	k, h := balancedUDP(t, 1, quicListener(t))
	c := udpClient(t, k)
	type connection struct {
		server byte
		chosen []byte
	}
	var all []connection
	for n := range 60 {
		server, chosen := askQUIC(t, c, quicLong(fmt.Appendf(nil, "client%02d", n), []byte("cl")))
		all = append(all, connection{server, chosen})
	}
	for _, conn := range all {
		if got, _ := askQUIC(t, c, quicShort(conn.chosen)); got != conn.server {
			t.Errorf("id %x reached %c, not %c", conn.chosen, got, conn.server)
		}
	}
	if got := h.Counters(); got.Connections != 4 || got.Requests != 4 {
		t.Errorf("counted %+v, want 4 sessions", got.Counts)
	}
	for i := range h.pools[0].servers {
		if n := h.pools[0].state.Active(i); n != 1 {
			t.Errorf("server %d has %d in flight, want 1", i, n)
		}
	}
	k.Close()
	for i := range h.pools[0].servers {
		if n := h.pools[0].state.Active(i); n != 0 {
			t.Errorf("server %d has %d in flight after the end", i, n)
		}
	}
	if n := len(k.receivers[0].clients); n != 0 {
		t.Errorf("%d clients after the end", n)
	}
}

// TestQUICServerLeaves takes a server away: connections that it has stay until its
// drain ends, and new ones go elsewhere even with an id that was its own.
func TestQUICServerLeaves(t *testing.T) {
	l := quicListener(t)
	k, h := balancedUDP(t, 1, l)
	c := udpClient(t, k)
	first := []byte("client00")
	server, chosen := askQUIC(t, c, quicLong(first, nil))
	rest := *l
	rest.Backends = nil
	var gone balance.Backend
	for _, b := range l.Backends {
		if b.Name[0] == server {
			gone = b
		} else {
			rest.Backends = append(rest.Backends, b)
		}
	}
	h = handle(&rest, h)
	k.Serve(h)
	if got, _ := askQUIC(t, c, quicShort(chosen)); got != server {
		t.Errorf("its session moved to %c", got)
	}
	if got, _ := askQUIC(t, udpClient(t, k), quicShort(chosen)); got == server {
		t.Error("a new session with a server that has left")
	}
	<-h.Drain("l", gone.Name, gone.Endpoint, time.Now())
	if got, _ := askQUIC(t, c, quicShort(chosen)); got == server {
		t.Error("its session outlived the drain")
	}
}

func TestSourceConnectionID(t *testing.T) {
	for _, c := range []struct {
		packet []byte
		want   string
	}{
		{quicLong([]byte("to"), []byte("from")), "from"},
		{quicLong(nil, []byte("from")), "from"},
		{quicLong([]byte("to"), nil), ""},
		{quicShort([]byte("to")), ""},
		{nil, ""},
		{[]byte{0xc3, 0, 0, 0, 1}, ""},
		{[]byte{0xc3, 0, 0, 0, 1, 0}, ""},
		{[]byte{0xc3, 0, 0, 0, 1, 2, 'x'}, ""},
		{[]byte{0xc3, 0, 0, 0, 1, 1, 'x'}, ""},
		{[]byte{0xc3, 0, 0, 0, 1, 1, 'x', 2, 'y'}, ""},
		{[]byte{0xc3, 0, 0, 0, 1, 1, 'x', 1, 'y'}, "y"},
	} {
		id, ok := sourceConnectionID(c.packet)
		if string(id) != c.want || ok != (c.want != "") {
			t.Errorf("%x: %q, %v; want %q", c.packet, id, ok, c.want)
		}
	}
}

// TestConnectionIDsForgetTheOldest keeps what is used and is bounded.
func TestConnectionIDsForgetTheOldest(t *testing.T) {
	var ids connectionIDs
	used, server := uint64(2), &tally{}
	ids.learn(used, server)
	for n := range uint64(4 * idsInShard) {
		ids.learn(2+(n+1)<<5, server) // all in the shard of used
		if n%(idsInShard/2) == 0 && ids.owner(used) != server {
			t.Fatalf("forgot after %d what is used", n)
		}
	}
	shard := &ids.shards[used>>1%idShards]
	if n := len(shard.young) + len(shard.old); n > 2*idsInShard {
		t.Errorf("%d ids", n)
	}
	if ids.owner(2+1<<5) != nil {
		t.Error("the oldest is still known")
	}
	if ids.owner(4) != nil {
		t.Error("an id that nobody learned")
	}
}
