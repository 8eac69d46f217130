// Package trace reads the access logs of balancers and keeps what they tell as a compact
// binary trace, which is quick to replay:
//
//	summary, err := trace.ImportFile(ctx, "access.log", "monday.trace", trace.Options{})
//	…
//	t, err := trace.Open(ctx, "monday.trace", trace.Options{}) // or the log itself
//	for r := (trace.Request{}); t.Next(&r); {
//		fmt.Println(r.At, t.Clients[r.Client], t.Targets[r.Target].Path)
//	}
//	err = t.Err()
//
// Logs are read as a stream, compressed by gzip or not. Their lines stand in the order in
// which requests ended; a trace has them in the order in which they came, equal times in
// the order of the log. That takes an external merge: runs of some hundred thousand
// requests are sorted in memory and wait in a file without a name. Memory is bounded by a
// run and by the different clients and targets, of which there may be so many, see the
// limits of [Options].
//
// A log that tells when a request ended and how long it took is turned back to when it
// came; one that tells only the end is taken at its word. Those that tell whole seconds
// have all requests of a second at its beginning.
//
// # Clients and cookies
//
// A client is an address and, where the log tells it, a user agent: two browsers behind
// one address are two clients. No cookie of the log is kept. Those that kept a client on
// its server were made by the balancer that wrote the log and say nothing to another one;
// so in a replay each client has a cookie jar of its own, empty at first, and sends back
// what the replaying balancer gave it. A log that does not tell the client's address (HAR,
// or gor without X-Forwarded-For) has one client at 192.0.2.1.
//
// # Format
//
// A trace is the magic "slbtrace", a version byte, blocks, and a trailer. A block is its
// kind (1 byte), the length of its payload and the CRC-32C of kind and payload (4 bytes
// each, little endian), and the payload. Numbers in payloads are unsigned varints unless
// said otherwise, texts have their length before them.
//
//	R  requests: how many, of each of their numbers the least (a varint) and the width in
//	   bytes of what they have above it (1 byte, 0 to 8), and then of each number these
//	   columns (little endian). The numbers are ns since the request before, client, port,
//	   target, server, status, bytes, µs that it took. Client, target and server count the
//	   entries below from 0; server 0 is none, port and status are 0 where the log does not
//	   tell them. Times have a width of 1 at least.
//	C  clients: the address, as 4 or 16 bytes
//	T  targets: method, host, path
//	S  servers: the name; the first is empty
//	E  the end: requests, clients, targets, servers, entries that could not be read, those
//	   that were out of order, the first request's time in ns since 1970, and the format
//
// All R come before all C, T and S, in this order, and E is last. The trailer is the offset
// of what follows the last R (8 bytes) and "slbtail\n": a trace that was cut short anywhere
// has no trailer and is refused before anything is replayed.
package trace
