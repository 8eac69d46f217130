package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

// Folder is where the runtime keeps its files, below the working folder.
const Folder = ".slbctl"

// SocketName is the daemon's socket in Folder.
const SocketName = "runtime.sock"

// Listen makes the unix socket name in the folder dir, 0600. A socket path may
// have 108 bytes at most, so it is bound through the folder's descriptor: any
// folder works. A file left by a dead process is replaced; the caller holds the
// lock that makes sure it is dead.
func Listen(dir, name string) (*Socket, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("control socket: open folder: %w", err)
	}
	path := throughDescriptor(folder, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		folder.Close()
		return nil, fmt.Errorf("control socket: remove the old one: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		folder.Close()
		return nil, fmt.Errorf("control socket %s: %w", filepath.Join(dir, name), err)
	}
	// The folder is 0700, so nobody gets in between bind and chmod.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		folder.Close()
		return nil, fmt.Errorf("control socket %s: %w", filepath.Join(dir, name), err)
	}
	socket := l.(*net.UnixListener)
	socket.SetUnlinkOnClose(false) // Close does that, unless the socket is another process's by then
	return &Socket{UnixListener: socket, folder: folder, name: name}, nil
}

// DialSocket connects to the socket name in the folder dir.
func DialSocket(ctx context.Context, dir, name string) (net.Conn, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var d net.Dialer
	return d.DialContext(ctx, "unix", throughDescriptor(folder, name))
}

func throughDescriptor(folder *os.File, name string) string {
	return "/proc/self/fd/" + strconv.Itoa(int(folder.Fd())) + "/" + name
}

// Socket keeps the folder open as long as the socket, whose path goes through
// it, and admits only peers of the same user.
type Socket struct {
	*net.UnixListener
	folder *os.File
	name   string

	mu     sync.Mutex
	paused chan struct{} // closed at the end of a pause; nil = no pause
	left   bool
}

// Accept returns the next connection of the same user, net.ErrClosed after Leave.
func (l *Socket) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := l.await(); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case sameUser(conn):
			return conn, nil
		}
		conn.Close()
	}
}

// await returns at the end of a pause.
func (l *Socket) await() error {
	l.mu.Lock()
	paused := l.paused
	l.mu.Unlock()
	if paused != nil {
		<-paused
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left {
		return net.ErrClosed
	}
	return nil
}

// Close ends listening, and removes the socket's file unless another process has it.
func (l *Socket) Close() error {
	l.mu.Lock()
	left := l.left
	l.mu.Unlock()
	l.Resume()
	var err error
	if !left {
		err = os.Remove(throughDescriptor(l.folder, l.name))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // the folder was cleared away
		}
	}
	return errors.Join(err, l.UnixListener.Close(), l.folder.Close())
}

// File is the socket, for another process that Adopts it; the caller closes it.
func (l *Socket) File() (*os.File, error) { return netloop.FileOf(l.UnixListener, l.name) }

// Adopt is [Listen] with the socket of another process, which pauses it first and leaves
// it then. It closes the file.
func Adopt(dir, name string, file *os.File) (*Socket, error) {
	l, err := net.FileListener(file)
	err = errors.Join(err, file.Close())
	socket, ok := l.(*net.UnixListener)
	if err == nil && !ok {
		l.Close()
		err = errors.New("what was handed over is no such socket")
	}
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", filepath.Join(dir, name), err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("control socket: open folder: %w", err)
	}
	return &Socket{UnixListener: socket, folder: folder, name: name}, nil
}

// Pause stops accepting: who comes waits.
func (l *Socket) Pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == nil {
		l.paused = make(chan struct{})
		_ = l.SetDeadline(time.Unix(1, 0)) // fails when it is closed, and then there is no pause
	}
}

// Resume accepts again.
func (l *Socket) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused != nil {
		_ = l.SetDeadline(time.Time{})
		close(l.paused)
		l.paused = nil
	}
}

// Leave ends Accept: the socket is another process's from now on.
func (l *Socket) Leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left = true; l.paused != nil {
		close(l.paused)
		l.paused = nil
	}
}

// sameUser says whether the process at the other end runs as our user or as root.
func sameUser(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return false
	}
	return cred.Uid == 0 || int(cred.Uid) == os.Getuid()
}
