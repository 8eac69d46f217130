package trace

import (
	"encoding/binary"
	"io"
	"time"
)

// writer writes a trace. Requests come in the order of their times.
type writer struct {
	out     io.Writer
	err     error
	at      int64 // bytes written
	block   []byte
	rows    []row // requests of the next block
	last    int64 // ns since 1970 of the last request
	footer  Footer
	started bool // footer.Start is known; else it is the first request's time
}

func newWriter(out io.Writer) *writer {
	w := &writer{out: out, block: make([]byte, blockHead, longestBody), rows: make([]row, 0, blockRequests)}
	w.write([]byte(magic + string(rune(version))))
	return w
}

func (w *writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
	w.at += int64(len(b))
}

// flush writes the block if it has more than some bytes.
func (w *writer) flush(kind byte, above int) {
	payload := w.block[blockHead:]
	if len(payload) <= above {
		return
	}
	w.block[0] = kind
	binary.LittleEndian.PutUint32(w.block[1:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(w.block[5:], checksum(kind, payload))
	w.write(w.block)
	w.block = w.block[:blockHead]
}

// add writes a request, whose At is ns since 1970.
func (w *writer) add(r *Request) {
	at := int64(r.At)
	if !w.started {
		w.started, w.footer.Start, w.last = true, time.Unix(0, at).UTC(), at
	}
	w.rows = append(w.rows, row{
		gapColumn: uint64(at - w.last), clientColumn: uint64(r.Client), portColumn: uint64(r.Port), targetColumn: uint64(r.Target),
		serverColumn: uint64(r.Server), statusColumn: uint64(r.Status), bytesColumn: uint64(r.Bytes), tookColumn: uint64(r.Took / time.Microsecond),
	})
	w.last = at
	w.footer.Duration = time.Duration(at) - time.Duration(w.footer.Start.UnixNano())
	w.footer.Requests++
	if len(w.rows) == blockRequests {
		w.flushRequests()
	}
}

// flushRequests writes the requests of a block, if there are any.
func (w *writer) flushRequests() {
	if len(w.rows) > 0 {
		w.block = appendColumns(w.block, w.rows)
		w.rows = w.rows[:0]
		w.flush(requestBlock, 0)
	}
}

// close writes what the numbers of requests mean, and the end.
func (w *writer) close(n *names) error {
	w.flushRequests()
	dictionary := w.at
	for _, c := range n.addresses {
		w.block = appendClient(w.block, c)
		w.flush(clientBlock, blockSize)
	}
	w.flush(clientBlock, 0)
	for _, t := range n.targets {
		w.block = appendTarget(w.block, t)
		w.flush(targetBlock, blockSize)
	}
	w.flush(targetBlock, 0)
	for _, s := range n.servers {
		w.block = appendText(w.block, s)
		w.flush(serverBlock, blockSize)
	}
	w.flush(serverBlock, 0)
	w.footer.clients, w.footer.targets, w.footer.servers = len(n.addresses), len(n.targets), len(n.servers)
	w.block = w.footer.append(w.block)
	w.flush(endBlock, 0)
	w.write(append(binary.LittleEndian.AppendUint64(nil, uint64(dictionary)), tail...))
	return w.err
}
