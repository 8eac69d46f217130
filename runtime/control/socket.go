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

	"golang.org/x/sys/unix"
)

// Folder is where the runtime keeps its files, below the working folder.
const Folder = ".slbctl"

// SocketName is the daemon's socket in Folder.
const SocketName = "runtime.sock"

// Listen makes the unix socket name in the folder dir, 0600. A socket path may
// have 108 bytes at most, so it is bound through the folder's descriptor: any
// folder works. A file left by a dead process is replaced; the caller holds the
// lock that makes sure it is dead.
func Listen(dir, name string) (net.Listener, error) {
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
	return &listener{UnixListener: l.(*net.UnixListener), folder: folder}, nil
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

// listener keeps the folder open as long as the socket, whose path goes through
// it, and admits only peers of the same user.
type listener struct {
	*net.UnixListener
	folder *os.File
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if sameUser(conn) {
			return conn, nil
		}
		conn.Close()
	}
}

func (l *listener) Close() error {
	return errors.Join(l.UnixListener.Close(), l.folder.Close())
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
