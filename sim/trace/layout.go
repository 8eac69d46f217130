package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"time"
)

// What a trace begins and ends with; see the package's documentation.
const (
	magic       = "slbtrace"
	version     = 2
	headerSize  = len(magic) + 1
	tail        = "slbtail\n"
	trailerSize = 8 + len(tail)
	blockHead   = 1 + 4 + 4
	blockSize   = 64 << 10  // a block of names is written when it has so much
	longestBody = 128 << 10 // and no block ever has more
	slack       = 8         // bytes that may be read behind a block
	footerSize  = 128       // of an E block, at most
)

// The kinds of blocks.
const (
	requestBlock = 'R'
	clientBlock  = 'C'
	targetBlock  = 'T'
	serverBlock  = 'S'
	endBlock     = 'E'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(kind byte, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte{kind}, castagnoli), castagnoli, payload)
}

// Request is one request of a trace.
type Request struct {
	At     time.Duration // since Footer.Start; the first one of a log comes at 0
	Took   time.Duration // µs; of the server where the log tells that, else of the whole exchange; 0 = not told
	Bytes  int64         // of the answer
	Client uint32        // index in Trace.Clients
	Target uint32        // index in Trace.Targets
	Server uint32        // index in Trace.Servers; 0 = none, or not told
	Status uint16        // 0 = not told
	Port   uint16        // of the client; 0 = not told
}

// Target is what a request asks for.
type Target struct {
	Method string
	Host   string // in lower case, without port; empty = not told
	Path   string // with its query
}

// Footer is what a trace tells about itself.
type Footer struct {
	Requests   int64
	Unread     int64         // entries of the log that could not be read
	Disordered int64         // requests that had come before the one above them
	Start      time.Time     // of the first request
	Duration   time.Duration // until the last request
	Format     string        // of the log
	clients    int
	targets    int
	servers    int
}

func (f *Footer) append(b []byte) []byte {
	for _, n := range [...]int64{f.Requests, int64(f.clients), int64(f.targets), int64(f.servers), f.Unread, f.Disordered, f.Start.UnixNano(), int64(f.Duration)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return appendText(b, f.Format)
}

func (f *Footer) read(b []byte) error {
	var numbers [8]int64
	d := decoder{rest: b}
	for k := range numbers {
		n := d.number()
		if n > latest {
			return errBroken
		}
		numbers[k] = int64(n)
	}
	f.Format = string(d.text())
	f.Requests, f.Unread, f.Disordered = numbers[0], numbers[4], numbers[5]
	if d.bad || len(d.rest) > 0 || numbers[1] > mostClients || numbers[2] > mostTargets || numbers[3] > mostServers {
		return errBroken
	}
	f.clients, f.targets, f.servers = int(numbers[1]), int(numbers[2]), int(numbers[3])
	f.Start, f.Duration = time.Unix(0, numbers[6]).UTC(), time.Duration(numbers[7])
	return nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder reads numbers and texts. What is wrong with them leaves bad.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) text() []byte {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.bad, d.rest = true, nil
		return nil
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

var (
	errCut    = errors.New("the trace was cut short: it has no end. Make it again with `slbctl sim import`")
	errBroken = errors.New("the trace is damaged. Make it again with `slbctl sim import`")
)

// damaged tells the place of what is wrong.
func damaged(offset int64, what string) error {
	return fmt.Errorf("byte %d: %s: %w", offset, what, errBroken)
}

func appendClient(b []byte, a netip.Addr) []byte { return appendText(b, string(a.AsSlice())) }

func appendTarget(b []byte, t Target) []byte {
	return appendText(appendText(appendText(b, t.Method), t.Host), t.Path)
}
