package webserver

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	firstPause   = 100 * time.Millisecond // before a program that ended is started again
	longestPause = 10 * time.Second
	// soundAfter is how long a program has to run for its next end to count as the first.
	soundAfter = 10 * time.Second
	// outputPatience is how long whoever a program has started may keep its output open.
	outputPatience = time.Second
)

// programSpec is how a program of the user runs.
type programSpec struct {
	instance  string
	endpoints []netip.AddrPort
	command   []string
	env       map[string]string
	folder    string
}

// program is one that is kept running until it is stopped.
type program struct {
	programSpec
	stopping chan struct{}
	done     chan struct{} // closed when it has ended for good
}

func programOf(i Instance) programSpec {
	return programSpec{i.Address, i.Endpoints, i.Command, i.Env, i.WorkingDir}
}

// look finds the executable, so that an instance without one is refused before anything
// changes.
func (p programSpec) look() (string, error) {
	name := p.command[0]
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		name = filepath.Join(p.folder, name)
		if !filepath.IsAbs(name) && !strings.HasPrefix(name, ".") {
			name = "./" + name // else it would be looked for in PATH
		}
	}
	found, err := exec.LookPath(name)
	if err == nil {
		found, err = filepath.Abs(found)
	}
	if err != nil {
		return "", fmt.Errorf("%s: command: %w", p.instance, err)
	}
	return found, nil
}

// start keeps the program running, with its output in a log of the folder.
func (p programSpec) start(logs string) *program {
	run := &program{programSpec: p, stopping: make(chan struct{}), done: make(chan struct{})}
	go run.supervise(&outputLog{path: filepath.Join(logs, logName(p.instance))})
	return run
}

// stop ends the program and what it has started, politely first; it returns when they
// have ended.
func (r *program) stop() {
	close(r.stopping)
	<-r.done
}

// supervise starts the program whenever it has ended, after a pause that grows while it
// does not last.
func (r *program) supervise(log *outputLog) {
	defer close(r.done)
	defer log.close()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		began := time.Now()
		err := r.run(log)
		if r.stopped() {
			return
		}
		if time.Since(began) >= soundAfter {
			pause = firstPause
		}
		how := "exit status 0"
		if err != nil {
			how = err.Error()
		}
		log.note("%s: %s; it is started again in %s", r.instance, how, pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-r.stopping:
			timer.Stop()
			return
		}
	}
}

func (r *program) stopped() bool {
	select {
	case <-r.stopping:
		return true
	default:
		return false
	}
}

// run runs the program once.
func (r *program) run(log io.Writer) error {
	path, err := r.look()
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{
		Path: path, Args: r.arguments(), Env: r.environ(), Dir: r.folder,
		Stdout: log, Stderr: log, WaitDelay: outputPatience,
		// A group of its own, so that a stop reaches what it has started. It does not outlive
		// this process, whose successor starts it again.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	group := -cmd.Process.Pid
	ended := make(chan struct{})
	stopper := make(chan struct{})
	go func() {
		defer close(stopper)
		select {
		case <-ended:
			return
		case <-r.stopping:
		}
		_ = syscall.Kill(group, syscall.SIGTERM) // it may have ended by now
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
			_ = syscall.Kill(group, syscall.SIGKILL)
		}
	}()
	waitUnreaped(cmd.Process.Pid)
	close(ended)
	<-stopper
	_ = syscall.Kill(group, syscall.SIGKILL) // whoever it leaves behind may hold its port
	if err = cmd.Wait(); errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

// waitUnreaped waits until a process has ended, and leaves it so: while it is not reaped
// nobody else has its number, by which its group is signalled.
func waitUnreaped(pid int) {
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

// arguments have $ADDRESS and $PORT filled in, for programs that do not read them from
// their environment.
func (p programSpec) arguments() []string {
	address, port, ports := p.places()
	fill := strings.NewReplacer("${ADDRESS}", address, "$ADDRESS", address, "${PORTS}", ports, "$PORTS", ports, "${PORT}", port, "$PORT", port)
	args := make([]string, len(p.command))
	for i, a := range p.command {
		args[i] = fill.Replace(a)
	}
	return args
}

// environ is this process's environment without what is only for slbctl, and the program's own.
func (p programSpec) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SLBCTL_") })
	for _, name := range slices.Sorted(maps.Keys(p.env)) {
		env = append(env, name+"="+p.env[name])
	}
	address, port, ports := p.places()
	return append(env, "ADDRESS="+address, "PORT="+port, "PORTS="+ports)
}

// places is where the program has to listen: the first port, and all of them.
func (p programSpec) places() (address, port, ports string) {
	all := make([]string, len(p.endpoints))
	for i, ep := range p.endpoints {
		all[i] = strconv.Itoa(int(ep.Port()))
	}
	return p.endpoints[0].Addr().String(), all[0], strings.Join(all, " ")
}

func (p programSpec) equal(other programSpec) bool { return reflect.DeepEqual(p, other) }
