package trace

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// The numbers of a request, in the order of their columns in a block. Each takes as many bytes as all in its column,
// so that reading one is a load and a mask: of numbers that are as long as they need to be nobody foresees where the
// next one begins.
const (
	gapColumn    = iota // ns since the one before
	clientColumn        // here and below, counting the entries of the dictionary
	portColumn
	targetColumn
	serverColumn
	statusColumn
	bytesColumn
	tookColumn // µs
	columns
)

// blockRequests is how many requests a block has: the most that fit whatever they are.
const blockRequests = 2000

type row [columns]uint64

// appendColumns writes the requests of a block. Gaps have one byte at least: no block has more requests than bytes.
func appendColumns(b []byte, rows []row) []byte {
	b = binary.AppendUvarint(b, uint64(len(rows)))
	var least [columns]uint64
	var width [columns]int
	for k := range columns {
		most := uint64(0)
		least[k] = rows[0][k]
		for i := range rows {
			least[k], most = min(least[k], rows[i][k]), max(most, rows[i][k])
		}
		width[k] = (bits.Len64(most-least[k]) + 7) / 8
		if k == gapColumn {
			width[k] = max(width[k], 1)
		}
		b = append(binary.AppendUvarint(b, least[k]), byte(width[k]))
	}
	for k := range columns {
		for i := range rows {
			b = binary.LittleEndian.AppendUint64(b, rows[i][k]-least[k])[:len(b)+width[k]]
		}
	}
	return b
}

// column is a column of a block.
type column struct {
	values []byte // and what is behind them, 8 bytes at least
	width  int
	mask   uint64
	least  uint64 // which all values are above, or equal to
}

func (c *column) at(i int) uint64 {
	return c.least + binary.LittleEndian.Uint64(c.values[i*c.width:])&c.mask
}

// columnsOf finds the columns of a block, behind which there are 8 bytes more, and how many requests it has.
func (t *Trace) columnsOf(payload []byte) (ok bool) {
	d := decoder{rest: payload}
	rows := d.number()
	size := uint64(0)
	for k := range t.columns {
		c := &t.columns[k]
		c.least, c.width = d.number(), int(d.byte())
		if c.width > 8 {
			return false
		}
		c.mask = ^uint64(0) >> (64 - 8*c.width)
		size += uint64(c.width)
	}
	if d.bad || rows == 0 || rows > uint64(len(payload)) || t.columns[gapColumn].width == 0 || rows*size != uint64(len(d.rest)) {
		return false
	}
	rest := d.rest[:len(d.rest)+slack]
	for k := range t.columns {
		t.columns[k].values = rest
		rest = rest[int(rows)*t.columns[k].width:]
	}
	t.row, t.rows = 0, int(rows)
	return true
}

// Next reads the next request; false at the end, and where Err says why it cannot.
func (t *Trace) Next(r *Request) bool {
	if t.row == t.rows && !t.block() {
		return false
	}
	i, c := t.row, &t.columns
	gap, client, port, target := c[gapColumn].at(i), c[clientColumn].at(i), c[portColumn].at(i), c[targetColumn].at(i)
	server, status, size, took := c[serverColumn].at(i), c[statusColumn].at(i), c[bytesColumn].at(i), c[tookColumn].at(i)
	if gap > latest || client >= uint64(len(t.Clients)) || port > 65535 || target >= uint64(len(t.Targets)) ||
		server >= uint64(len(t.Servers)) || status > 999 || size > latest || took > longestTime/1000 {
		return t.fail()
	}
	if t.time += int64(gap); t.time < 0 {
		return t.fail()
	}
	t.row++
	t.count++
	r.At, r.Took, r.Bytes = time.Duration(t.time), time.Duration(took)*time.Microsecond, int64(size)
	r.Client, r.Target, r.Server, r.Status, r.Port = uint32(client), uint32(target), uint32(server), uint16(status), uint16(port)
	return true
}

// Read reads the next requests into a slice, as many as it has room for, and returns how many: none at the end, and
// where Err says why it cannot.
func (t *Trace) Read(to []Request) (n int) {
	for n < len(to) && t.Next(&to[n]) {
		n++
	}
	return n
}
