package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

// bond is one end of the socket pair between two processes.
type bond struct {
	conn net.Conn
	in   *json.Decoder

	mu  sync.Mutex
	out *json.Encoder
}

// newBond takes a file over, and closes it.
func newBond(file *os.File) (*bond, error) {
	conn, err := net.FileConn(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("the other process's socket: %w", err)
	}
	return &bond{conn: conn, in: json.NewDecoder(conn), out: json.NewEncoder(conn)}, nil
}

// say sends a line to the other one, who must take it by then.
func (b *bond) say(patience time.Duration, line any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.conn.SetWriteDeadline(time.Now().Add(patience)) // fails when the conn is closed, as writing does then
	return b.out.Encode(line)
}

// hear waits for the other one's next line.
func (b *bond) hear(patience time.Duration, into any) error {
	var until time.Time
	if patience != forever {
		until = time.Now().Add(patience)
	}
	_ = b.conn.SetReadDeadline(until) // fails when the conn is closed, as reading does then
	err := b.in.Decode(into)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("it does not answer within %v", patience)
	}
	return err
}

// socketPair makes the two ends of a bond.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "bond"), os.NewFile(uintptr(fds[1]), "bond"), nil
}

// bundle is the files that a process gets, by the number that it knows them by.
type bundle struct{ files []*os.File }

// firstInherited follows standard input, output and error.
const firstInherited = 3

// add gives the process a file, which is closed here with the bundle.
func (b *bundle) add(f *os.File) int {
	b.files = append(b.files, f)
	return firstInherited + len(b.files) - 1
}

// take is add for what may have failed.
func (b *bundle) take(f *os.File, err error) (int, error) {
	if err != nil {
		return 0, fmt.Errorf("descriptors for the new process: %w", err)
	}
	return b.add(f), nil
}

// duplicate is add for a descriptor that stays open here.
func (b *bundle) duplicate(fd int) (int, error) {
	twin, err := netloop.Duplicate(fd)
	return b.take(os.NewFile(uintptr(twin), "inherited"), err)
}

func (b *bundle) close() {
	for _, f := range b.files {
		f.Close()
	}
}
