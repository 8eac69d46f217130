// Package proxyproto writes and reads the header of the PROXY protocol, which
// tells a server behind a balancer who its client is. It precedes the first byte
// of a connection, or the payload of a datagram.
//
//	head := proxyproto.Append(nil, 2, client, listener)
//	conn.Write(head)
//
//	h, n, err := proxyproto.Parse(received)
//	switch {
//	case err != nil: // not such a header: close the connection
//	case n == 0: // receive more
//	case h.Source.IsValid(): // received[n:] comes from h.Source
//	default: // received[n:] comes from the peer itself
//	}
//
// It follows "The PROXY protocol, versions 1 & 2" by W. Tarreau (2020), section
// numbers below are that document's. The package is pure: bytes in, bytes out.
package proxyproto
