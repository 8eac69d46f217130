// Package http2 is the connection and stream machine of HTTP/2 (RFC 9113, HPACK
// RFC 7541) for a proxy, towards clients and towards servers with prior knowledge.
// A stream presents itself as a connection of HTTP/1.1: what a proxy does with a
// request it does once, whatever version it came in.
//
//	conn := http2.NewServer(pool, now)
//	used, err := conn.Feed(received, now) // whole frames are taken, the rest comes again
//	for s := conn.Next(); s != nil; s = conn.Next() {
//		switch { // s is new, has something to read, may go on writing, or was reset
//		case s.Err() != nil:
//			s.Close()
//		default:
//			n := s.Read(buffer)               // "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
//			n, err := s.Write([]byte(answer)) // "HTTP/1.1 200 OK\r\n..."
//		}
//	}
//	n := write(conn.Out())
//	conn.Advance(n) // and look at Next again: there may be room for more
//
// A request is checked by the rules of HTTP/2 before anything of it is rendered,
// and what is rendered package http1 reads as the same one request, or refuses with
// a status (414 and 431 for instance) that the proxy answers as it always does.
// What HTTP/2 calls malformed (RFC 9113 section 8.1.1) never gets that far: its
// stream is reset with PROTOCOL_ERROR.
//
// The package moves no bytes itself and keeps no clock, goroutine or lock: a Conn,
// its Streams and their Pool belong to one loop. Nothing is called back; what has
// happened is fetched with Next. What a peer may cost is bounded, see the limits,
// and counted in Stats.
//
// Frame types, flags, settings and error codes are those of golang.org/x/net/http2,
// header blocks are decoded and encoded by its hpack. Frames are taken apart here,
// in the buffer they came in: its Framer copies each payload and allocates a value
// for most of them. The tests hold this reading against the Framer's.
package http2
