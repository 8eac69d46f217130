package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Holder says who holds the lock of a working folder.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	User    string    `json:"user"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Self describes this process, running the given command.
func Self(command string) Holder {
	h := Holder{PID: os.Getpid(), Command: command, Since: time.Now().UTC().Truncate(time.Second)}
	h.Host, _ = os.Hostname() // a name that cannot be found stays empty
	if u, err := user.Current(); err == nil {
		h.User = u.Username
	}
	return h
}

// alive says whether the process is there; known is false when it is on another
// host, where nobody here can tell.
func (h Holder) alive() (alive, known bool) {
	if host, err := os.Hostname(); err != nil || host != h.Host || h.PID <= 0 {
		return false, false
	}
	err := unix.Kill(h.PID, 0)
	return err == nil || errors.Is(err, unix.EPERM), true
}

// LockedError is a lock that another process holds. Exit code 5.
type LockedError struct {
	Path   string
	Holder Holder // zero when it has not said yet who it is
	Waited time.Duration
}

func (e *LockedError) Error() string {
	text := "state is locked"
	if h := e.Holder; h.PID != 0 {
		text += fmt.Sprintf(" by %q, process %d of %s on %s, since %s", "slbctl "+h.Command, h.PID, h.User, h.Host, h.Since.Local().Format(time.DateTime))
		switch alive, known := h.alive(); {
		case alive:
			text += ", which is running"
		case known:
			text += ", which is gone: a process that it started still holds " + e.Path
		}
	} else {
		text += " by a process whose name is not in " + e.Path + ", where a full disk may have kept it from writing it"
	}
	if e.Waited > 0 {
		return text + fmt.Sprintf(" (waited %s): wait for it to end, or stop it", e.Waited)
	}
	return text + ": wait for it to end, or give -lock-timeout"
}

// Lock takes the lock of the working folder, waiting for it at most timeout.
// It dies with this process, whatever ends it, so a lock is never left behind.
// The error is a *LockedError when another process has it.
func (s *Store) Lock(ctx context.Context, who Holder, timeout time.Duration) (unlock func() error, err error) {
	if err := s.mkdir(s.dir); err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := flock(ctx, f, timeout); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = &LockedError{Path: path, Holder: readHolder(f), Waited: timeout}
		}
		return nil, errors.Join(err, f.Close())
	}
	// The name is a courtesy to others. A disk that is too full for it is no reason
	// to refuse a command that holds the lock: LockedError knows of that case.
	if err := writeHolder(f, who); err != nil {
		_ = f.Truncate(0) // better no name than half of one
	}
	return func() error {
		_ = f.Truncate(0) // the next holder writes over it
		return f.Close()
	}, nil
}

// flock tries until the timeout has passed, a little less often each time.
func flock(ctx context.Context, f *os.File, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, unix.EWOULDBLOCK)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			if err != nil {
				return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

func writeHolder(f *os.File, who Holder) error {
	data, err := json.Marshal(who)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(data, '\n'), 0)
	return err
}

// readHolder returns the zero Holder when the file does not say.
func readHolder(f *os.File) Holder {
	var h Holder
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<16))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return Holder{}
	}
	return h
}
