package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"slbctl/planner/state"
	"slbctl/runtime/durable"
)

// patience bounds every verb that waits.
const patience = 30 * time.Second

// verbs are what sessions can do besides testscript's own commands.
var verbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"network":   verbNetwork,
	"exits":     verbExits,
	"until":     verbUntil,
	"get":       verbGet,
	"secure":    verbSecure,
	"canary":    verbCanary,
	"browse":    verbBrowse,
	"answer":    verbAnswer,
	"burst":     verbBurst,
	"datagram":  verbDatagram,
	"resolve":   verbResolve,
	"lock":      verbLock,
	"unlock":    verbUnlock,
	"occupy":    verbOccupy,
	"interrupt": verbInterrupt,
	"truncate":  verbTruncate,
	"listing":   verbListing,
	"digits":    verbDigits,
}

var networks sync.Map // of the sessions, by network

// network CIDR: the session's own network, in runtime.slb.hcl of the current folder.
func verbNetwork(ts *testscript.TestScript, neg bool, args []string) {
	if other, taken := networks.LoadOrStore(args[0], ts.Name()); taken && other != ts.Name() {
		ts.Fatalf("session %s has the network %s already", other, args[0])
	}
	text := fmt.Sprintf("runtime {\n  network = %q\n}\n", args[0])
	ts.Check(os.WriteFile(ts.MkAbs("runtime.slb.hcl"), []byte(text), 0o644))
}

// exits CODE PROGRAM ARGS...: the exit code is exactly this.
func verbExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCodeOf(ts, ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// until REGEXP PROGRAM ARGS...: runs the program again and again until its
// standard output matches.
func verbUntil(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	// What a busy machine cannot say of its moments comes with one that is less busy.
	for deadline := time.Now().Add(4 * patience); ; time.Sleep(50 * time.Millisecond) {
		_ = ts.Exec(args[1], args[2:]...) // what counts is what it prints
		if re.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: no output that matches %s in %s", strings.Join(args[1:], " "), args[0], 4*patience)
		}
	}
}

// resolve SERVER NAME TYPE: prints the answer's records and its code.
func verbResolve(ts *testscript.TestScript, neg bool, args []string) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(args[1]), dns.StringToType[args[2]])
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, Timeout: patience}
		answer, _, err := client.Exchange(query, args[0])
		ts.Check(err)
		fmt.Fprintln(ts.Stdout(), network, dns.RcodeToString[answer.Rcode])
		for _, rr := range answer.Answer {
			fmt.Fprintln(ts.Stdout(), rr)
		}
	}
}

// lock: another process seems to hold the state of the current folder, until unlock
// or the end of the session.
func verbLock(ts *testscript.TestScript, neg bool, args []string) {
	store := state.Open(durable.OS, ts.MkAbs("."), "")
	unlock, err := store.Lock(context.Background(), state.Self("apply"), 0)
	ts.Check(err)
	once := sync.OnceFunc(func() { _ = unlock() })
	ts.Value(environKey{}).(*testscript.Env).Values[lockKey{}] = once
	ts.Defer(once)
}

type lockKey struct{}

func verbUnlock(ts *testscript.TestScript, neg bool, args []string) {
	ts.Value(lockKey{}).(func())()
}

// occupy ADDRESS: somebody else listens there until the session ends.
func verbOccupy(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

// interrupt CODE REGEXP PROGRAM ARGS...: sends SIGINT when the program's standard
// error matches, and expects the exit code.
func verbInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	cmd := exec.Command(path, args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = ts.Value(environKey{}).(*testscript.Env).Vars
	cmd.Stdout = io.Discard
	said := &watched{re: regexp.MustCompile(args[1]), seen: make(chan struct{})}
	cmd.Stderr = said
	ts.Check(cmd.Start())
	select {
	case <-said.seen:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		ts.Fatalf("%s never said %s", args[2], args[1])
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	got := exitCodeOf(ts, cmd.Wait())
	fmt.Fprint(ts.Stderr(), said.String())
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// watched is a buffer that tells when a text has been written to it.
type watched struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	re   *regexp.Regexp
	seen chan struct{}
	once sync.Once
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.buf.Write(p)
	if w.re.Match(w.buf.Bytes()) {
		w.once.Do(func() { close(w.seen) })
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// truncate FILE SIZE
func verbTruncate(ts *testscript.TestScript, neg bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}

// listing: prints the names, modes and sizes of all files below the current folder.
func verbListing(ts *testscript.TestScript, neg bool, args []string) {
	root := ts.MkAbs(".")
	ts.Check(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(ts.Stdout(), info.Mode(), info.Size(), strings.TrimPrefix(path, root+"/"))
		return err
	}))
}

// changing matches what is never the same twice in a JSON document.
var changing = regexp.MustCompile(`("(?:wall_seconds|uptime_seconds|pid|loops|since|recorded|lineage)": )("[^"]*"|[0-9.e+-]+)`)

// digits FILE OUT: copies a file with every value that no two runs share replaced by 0.
func verbDigits(ts *testscript.TestScript, neg bool, args []string) {
	text := changing.ReplaceAllString(ts.ReadFile(args[0]), "${1}0")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}
