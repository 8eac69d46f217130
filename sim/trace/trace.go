package trace

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"
)

// Trace replays requests in the order in which they came.
type Trace struct {
	Footer
	Clients []netip.Addr // two may have one address: they had other user agents
	Targets []Target
	Servers []string // as the log calls them; the first is empty

	file  io.ReaderAt
	close func() error
	name  string

	at         int64 // where the next block is
	dictionary int64 // where the last one of requests ends
	buffer     []byte
	columns    [columns]column // of the block
	row, rows  int             // the next of its requests, and how many they are
	base       int64           // where it begins
	time       int64
	count      int64
	err        error
}

// Open opens a trace, or reads a log into one that is gone when it is closed.
func Open(ctx context.Context, path string, opt Options) (*Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t, err := openFile(ctx, f, opt)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.name = path
	return t, nil
}

func openFile(ctx context.Context, f *os.File, opt Options) (*Trace, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("a folder, not a log")
	}
	if is, err := isTrace(f); err != nil || is {
		if err != nil {
			return nil, err
		}
		return newTrace(f, info.Size(), f.Close)
	}
	temp, err := nameless("")
	if err != nil {
		return nil, err
	}
	t, err := imported(ctx, f, temp, opt)
	if err != nil {
		_ = temp.Close()
		return nil, err
	}
	return t, f.Close()
}

// imported reads a log into a file and opens that.
func imported(ctx context.Context, log io.Reader, temp *os.File, opt Options) (*Trace, error) {
	out := bufio.NewWriterSize(temp, 256<<10)
	if _, err := importLog(ctx, log, out, "", opt); err != nil {
		return nil, err
	}
	if err := out.Flush(); err != nil {
		return nil, err
	}
	size, err := temp.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return newTrace(temp, size, temp.Close)
}

// isTrace looks for the magic, and puts the file back to its beginning.
func isTrace(f *os.File) (bool, error) {
	var head [len(magic)]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	if n > 0 && string(head[:n]) == magic[:n] {
		return true, nil
	}
	_, err = f.Seek(0, io.SeekStart)
	return false, err
}

// newTrace reads everything of a trace but its requests.
func newTrace(file io.ReaderAt, size int64, close func() error) (*Trace, error) {
	t := &Trace{file: file, close: close, at: int64(headerSize)}
	if size < int64(headerSize+trailerSize) {
		return nil, errCut
	}
	var head [headerSize]byte
	var trailer [trailerSize]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	if _, err := file.ReadAt(trailer[:], size-int64(trailerSize)); err != nil {
		return nil, err
	}
	switch {
	case string(head[:len(magic)]) != magic:
		return nil, errBroken
	case head[len(magic)] != version:
		return nil, fmt.Errorf("a trace of version %d: this slbctl reads version %d. Make it again with `slbctl sim import`", head[len(magic)], version)
	case string(trailer[8:]) != tail:
		return nil, errCut
	}
	end := size - int64(trailerSize)
	t.dictionary = int64(binary.LittleEndian.Uint64(trailer[:8]))
	if t.dictionary < int64(headerSize) || t.dictionary >= end {
		return nil, damaged(end, "no place in this file")
	}
	return t, t.names(end)
}

// names reads the blocks after the last one of requests.
func (t *Trace) names(end int64) error {
	in := bufio.NewReaderSize(io.NewSectionReader(t.file, t.dictionary, end-t.dictionary), 64<<10)
	var payload []byte
	for at, last := t.dictionary, byte(0); at < end; {
		kind, body, err := readBlock(in, payload, at)
		if err != nil {
			return err
		}
		d := decoder{rest: body}
		switch order := [256]byte{clientBlock: 1, targetBlock: 2, serverBlock: 3, endBlock: 4}; {
		case order[kind] == 0 || order[kind] < last || last == 4:
			return damaged(at, "a block in the wrong place")
		case kind == endBlock:
			if err := t.Footer.read(body); err != nil {
				return damaged(at, "the end")
			}
			last = 4
		default:
			if last = order[kind]; !t.learn(kind, &d) {
				return damaged(at, "a block of names")
			}
		}
		at += int64(blockHead + len(body))
		payload = body
		if at == end && last != 4 {
			return errCut
		}
	}
	if t.clients != len(t.Clients) || t.targets != len(t.Targets) || t.servers != len(t.Servers) {
		return damaged(end, "names are missing")
	}
	return nil
}

// learn reads a block of names.
func (t *Trace) learn(kind byte, d *decoder) bool {
	for len(d.rest) > 0 && !d.bad {
		switch kind {
		case clientBlock:
			a, ok := netip.AddrFromSlice(d.text())
			if !ok || len(t.Clients) == mostClients {
				return false
			}
			t.Clients = append(t.Clients, a)
		case targetBlock:
			x := Target{Method: string(d.text()), Host: string(d.text()), Path: string(d.text())}
			if len(t.Targets) == mostTargets {
				return false
			}
			t.Targets = append(t.Targets, x)
		case serverBlock:
			if len(t.Servers) == mostServers {
				return false
			}
			t.Servers = append(t.Servers, string(d.text()))
		}
	}
	return !d.bad
}

// readBlock reads a block and holds it against its checksum. The buffer is used again; the payload leaves some slack
// in it.
func readBlock(in io.Reader, buffer []byte, at int64) (kind byte, payload []byte, err error) {
	var head [blockHead]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, nil, damaged(at, "half a block")
	}
	size := int(binary.LittleEndian.Uint32(head[1:]))
	if size > longestBody {
		return 0, nil, damaged(at, "a block of an impossible length")
	}
	if cap(buffer) < size+slack {
		buffer = make([]byte, size, longestBody+slack)
	}
	payload = buffer[:size]
	if _, err := io.ReadFull(in, payload); err != nil {
		return 0, nil, damaged(at, "half a block")
	}
	if binary.LittleEndian.Uint32(head[5:]) != checksum(head[0], payload) {
		return 0, nil, damaged(at, "a block whose checksum is wrong")
	}
	return head[0], payload, nil
}

// block reads the next block of requests.
func (t *Trace) block() bool {
	switch {
	case t.err != nil:
		return false
	case t.at == t.dictionary:
		if t.count != t.Requests || t.time != int64(t.Duration) {
			t.err = fmt.Errorf("%s: %w", t.name, damaged(t.at, fmt.Sprintf("%d requests in %v, where the end says %d in %v", t.count, time.Duration(t.time), t.Requests, t.Duration)))
		}
		return false
	}
	kind, payload, err := readBlock(io.NewSectionReader(t.file, t.at, t.dictionary-t.at), t.buffer, t.at)
	switch {
	case err != nil:
	case kind != requestBlock:
		err = damaged(t.at, "a block in the wrong place")
	case !t.columnsOf(payload):
		err = damaged(t.at, "a block of requests")
	}
	if err != nil {
		t.err = fmt.Errorf("%s: %w", t.name, err)
		return false
	}
	t.base = t.at
	t.at += int64(blockHead + len(payload))
	t.buffer = payload
	return true
}

func (t *Trace) fail() bool {
	t.row = t.rows
	t.err = fmt.Errorf("%s: %w", t.name, damaged(t.base, "a request that cannot be"))
	return false
}

// Err says why Next could not go on; nil at the end.
func (t *Trace) Err() error { return t.err }

// Close ends the replay.
func (t *Trace) Close() error { return t.close() }
