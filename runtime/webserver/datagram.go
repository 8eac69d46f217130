package webserver

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"slbctl/spec"
)

const (
	longestDatagram = 64 << 10 // bytes; no payload of UDP is longer
	datagramQueue   = 4 << 20  // bytes that may wait; the kernel lowers it to net.core.rmem_max
)

// network is what a site's endpoints are of.
func (s *site) network() string {
	if s.protocol == spec.ProtocolUDPEcho {
		return "udp"
	}
	return "tcp"
}

// fits reports whether the socket can go on with a site.
func (k *socket) fits(s *site) bool { return (k.datagrams != nil) == (s.network() == "udp") }

// listenUDP is listen for a udp_echo site.
func listenUDP(endpoint netip.AddrPort, s *site) (*socket, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(endpoint))
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(datagramQueue) // less is no failure
	k := &socket{endpoint: endpoint, datagrams: conn, served: make(chan struct{})}
	k.site.Store(s)
	return k, nil
}

// echoDatagrams answers each datagram with the same bytes until the socket is closed.
// What cannot be sent is lost, as datagrams are.
func (k *socket) echoDatagrams() {
	buffer := make([]byte, longestDatagram)
	for {
		n, from, err := k.datagrams.ReadFromUDPAddrPort(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(5 * time.Millisecond) // out of memory: neither end nor spin
		default:
			if f := k.site.Load().fault; f != nil && f.Hang {
				continue
			}
			_, _ = k.datagrams.WriteToUDPAddrPort(buffer[:n], from)
		}
	}
}
