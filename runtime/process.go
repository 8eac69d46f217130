package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/webserver"
)

const (
	pidFile      = "runtime.pid"
	logFile      = "runtime.log"
	instanceSock = "instances.sock"
	instancePID  = "instances.pid"
	logsFolder   = "logs" // output of the users' programs

	// readyEnv names the descriptor on which a started process tells its starter
	// that it answers ("ok") or why it does not.
	readyEnv = "SLBCTL_READY_FD"
	readyFD  = 3
	readyOK  = "ok"

	pollInterval = 10 * time.Millisecond

	// stopPatience is how long a process may take to end after it was asked to.
	stopPatience = 10 * time.Second

	// guardInterval is how soon a daemon notices that its folder was removed.
	guardInterval = 2 * time.Second
)

// ErrAlreadyRunning says that another daemon holds the folder.
var ErrAlreadyRunning = errors.New("the runtime is already running in this folder")

// Start returns a client of the daemon of the working folder dir. When none runs
// it starts one in a session of its own, with exe, and returns when it answers.
// What keeps the daemon from coming up, such as a port that is taken, is the error.
func Start(ctx context.Context, dir, exe string) (*control.Client, error) {
	client, err := Reach(ctx, dir)
	if !errors.Is(err, control.ErrNotRunning) {
		return client, err
	}
	if err := durable.OS.MkdirAll(filepath.Join(dir, control.Folder)); err != nil {
		return nil, fmt.Errorf("runtime folder: %w", err)
	}
	if err := spawn(ctx, dir, exe, "run"); err != nil {
		// Another command may have started it in the same moment.
		if client, reachErr := Reach(ctx, dir); reachErr == nil {
			return client, nil
		}
		return nil, fmt.Errorf("start the runtime: %w", err)
	}
	return control.Dial(dir)
}

// Stop ends the daemon of dir and the instances' child, and returns when both
// are gone. It is no error when neither runs.
func Stop(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	client, err := Reach(ctx, dir)
	switch {
	case err == nil:
		if err := client.Shutdown(ctx); err != nil {
			return err
		}
	case !errors.Is(err, control.ErrNotRunning):
		return err
	}
	folder := filepath.Join(dir, control.Folder)
	if err := waitUnlocked(ctx, filepath.Join(folder, pidFile)); err != nil {
		return err
	}
	// A daemon that was killed leaves the child behind.
	if err := stopOrphan(ctx, folder); err != nil {
		return err
	}
	return waitUnlocked(ctx, filepath.Join(folder, instancePID))
}

// Orphans lists the instances that serve in dir without a daemon, which was killed:
// the next daemon adopts them, and Stop ends them.
func Orphans(ctx context.Context, dir string) ([]string, error) {
	folder := filepath.Join(dir, control.Folder)
	if held, _ := holder(filepath.Join(folder, pidFile)); held {
		return nil, nil
	}
	child, done, err := openOrphan(ctx, folder)
	defer done()
	if child == nil || err != nil {
		return nil, err
	}
	instances, err := child.Status(ctx)
	if err != nil {
		return nil, err
	}
	var serving []string
	for _, i := range instances {
		if i.Running && !slices.Contains(serving, i.Address) {
			serving = append(serving, i.Address)
		}
	}
	return serving, nil
}

// Reach returns a client of the daemon of the working folder dir, which has answered, or
// control.ErrNotRunning. One that holds the folder but does not answer yet, or no more, is
// waited for: who was killed still takes connections for a moment.
func Reach(ctx context.Context, dir string) (*control.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	for {
		client, err := control.Dial(dir)
		if err == nil {
			_, err = client.Status(ctx)
		}
		if !errors.Is(err, control.ErrNotRunning) {
			return client, err
		}
		held, pid := holder(filepath.Join(dir, control.Folder, pidFile))
		if !held {
			return nil, err
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return nil, fmt.Errorf("runtime: process %s holds the folder and does not answer; stop it with `kill`", pid)
		}
	}
}

// RunInstances is the child process that holds the instances of the working
// folder dir: it serves until it is told to shut down or ctx ends.
func RunInstances(ctx context.Context, dir string) (err error) {
	defer func() { Ready(err) }()
	folder := filepath.Join(dir, control.Folder)
	lock, err := lockFile(filepath.Join(folder, instancePID))
	if err != nil {
		return err
	}
	defer lock.unlock()
	socket, err := control.Listen(folder, instanceSock)
	if err != nil {
		return err
	}
	Ready(nil)
	return webserver.ServeChild(ctx, socket, filepath.Join(folder, logsFolder))
}

// Detached says that this process was started by [Start]: nobody waits for its end. Ask
// before Ready.
func Detached() bool {
	_, started := os.LookupEnv(readyEnv)
	_, inherits := os.LookupEnv(handoverEnv)
	return started || inherits
}

// Ready tells the process that started this one that it answers, or why not; it
// does nothing when nobody asked, or the second time.
func Ready(err error) {
	fd, convErr := strconv.Atoi(os.Getenv(readyEnv))
	if convErr != nil {
		return
	}
	os.Unsetenv(readyEnv)
	pipe := os.NewFile(uintptr(fd), "ready")
	text := readyOK
	if err != nil {
		text = err.Error()
	}
	_, _ = io.WriteString(pipe, text) // the starter is gone if this fails
	_ = pipe.Close()
}

// spawn starts `exe -chdir=dir runtime VERB` detached, with its output in the
// log, and waits until it is ready.
func spawn(ctx context.Context, dir, exe, verb string) error {
	log, err := os.OpenFile(filepath.Join(dir, control.Folder, logFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(exe, "runtime", verb)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), readyEnv+"="+strconv.Itoa(readyFD))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // reaps it; how it ended is in its log
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	answer, err := io.ReadAll(r)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case len(answer) == 0:
		return fmt.Errorf("it ended before it was ready; see %s", log.Name())
	case string(answer) != readyOK:
		return errors.New(string(answer))
	}
	return nil
}

// pidLock is a locked file with the pid of this process.
type pidLock struct{ file *os.File }

// unlock empties the file too, though the lock is what counts.
func (l pidLock) unlock() {
	_ = l.file.Truncate(0)
	l.file.Close()
}

// guard returns when the file at the lock's path is another one or none, which it
// looks at now and then, or when ctx ends. Who cannot be found by its file is reached
// by nobody: `rm -rf .slbctl` is all it takes.
func (l pidLock) guard(ctx context.Context) error {
	for {
		select {
		case <-time.After(guardInterval):
		case <-ctx.Done():
			return nil
		}
		mine, err := l.file.Stat()
		if err != nil {
			continue
		}
		switch there, err := os.Stat(l.file.Name()); {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s is gone", l.file.Name())
		case err == nil && !os.SameFile(mine, there):
			return fmt.Errorf("%s is another daemon's", l.file.Name())
		}
	}
}

// lockFile locks path for the life of this process and writes its pid there. The
// lock dies with the process, so a leftover file means nothing.
func lockFile(path string) (pidLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return pidLock{}, fmt.Errorf("runtime: %w", err)
	}
	// Somebody may hold it for the moment of looking who does.
	for tries := 0; ; tries++ {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil || tries == 10 {
			break
		}
		time.Sleep(pollInterval)
	}
	if err != nil {
		pid, _ := io.ReadAll(f)
		f.Close()
		return pidLock{}, fmt.Errorf("%w (pid %s)", ErrAlreadyRunning, strings.TrimSpace(string(pid)))
	}
	lock := pidLock{f}
	lock.sign()
	return lock, nil
}

// sign writes the pid of this process into the file: a courtesy to others, which a full
// disk may not have room for.
func (l pidLock) sign() {
	err := l.file.Truncate(0)
	if err == nil {
		_, err = l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = l.file.Truncate(0) // better none than half of one
	}
}

// waitUnlocked waits until no process holds the lock of path.
func waitUnlocked(ctx context.Context, path string) error {
	for {
		held, pid := holder(path)
		if !held {
			return nil
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return fmt.Errorf("runtime: process %s does not end; stop it with `kill`", pid)
		}
	}
}

// holder says whether a process holds the lock of path, and which.
func holder(path string) (held bool, pid string) {
	f, err := os.Open(path)
	if err != nil {
		return false, "" // nothing has ever run here
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return false, ""
	}
	text, _ := io.ReadAll(f)
	return true, strings.TrimSpace(string(text))
}
