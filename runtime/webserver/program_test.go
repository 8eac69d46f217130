package webserver

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slbctl/spec"
)

// asProgram makes this test binary the program of an instance.
const asProgram = "WEBSERVER_TEST_PROGRAM"

func init() {
	if os.Getenv(asProgram) == "" {
		return
	}
	address := net.JoinHostPort(os.Getenv("ADDRESS"), os.Getenv("PORT"))
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println("cannot listen:", err)
		os.Exit(3)
	}
	fmt.Println("listening on", address, "with", os.Args[1:])
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/crash" {
			os.Exit(7)
		}
		dir, _ := os.Getwd()
		fmt.Fprint(w, os.Getpid(), " ", os.Getenv(asProgram), " ", filepath.Base(dir), " ", os.Args[1:], " ", os.Getenv("SLBCTL_VAR_secret"))
	}))
	os.Exit(0)
}

func programAt(t *testing.T, endpoint netip.AddrPort, mode string) Instance {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "work")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return Instance{
		Address: `instance.app["a/b"]`, Endpoints: []netip.AddrPort{endpoint}, Protocol: spec.ProtocolHTTP, Running: true,
		Command: []string{exe, "-at=$ADDRESS:${PORT}"}, Env: map[string]string{asProgram: mode}, WorkingDir: dir,
	}
}

// asked waits for the program to answer and gives its process and the rest of what it says.
func asked(t *testing.T, endpoint netip.AddrPort) (pid int, rest string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		response, err := client.Get("http://" + endpoint.String() + "/")
		if err == nil {
			defer response.Body.Close()
			if _, err := fmt.Fscan(response.Body, &pid); err != nil {
				t.Fatal(err)
			}
			var b [200]byte
			n, _ := response.Body.Read(b[:])
			return pid, strings.TrimSpace(string(b[:n]))
		}
		if time.Now().After(deadline) {
			t.Fatalf("the program does not answer: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

func TestProgram(t *testing.T) {
	t.Setenv("SLBCTL_VAR_secret", "hunter2")
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.12")
	i := programAt(t, endpoint, "one")
	set(t, c, i)
	first, said := asked(t, endpoint)
	if want := "one work [-at=" + endpoint.String() + "]"; said != want {
		t.Errorf("it says %q, want %q", said, want)
	}

	// Another set that wants the same leaves it alone; one that wants another replaces it.
	set(t, c, i, web("instance.other", "x", freeEndpoint(t, "127.20.0.13")))
	if again, _ := asked(t, endpoint); again != first {
		t.Error("it was started again for nothing")
	}
	i.Env = map[string]string{asProgram: "two"}
	set(t, c, i)
	second, said := asked(t, endpoint)
	if second == first || !strings.HasPrefix(said, "two ") || !gone(first) {
		t.Errorf("after a change it says %q; the first is gone: %v", said, gone(first))
	}

	// It comes back when it crashes, and what it wrote is there.
	if response, err := http.Get("http://" + endpoint.String() + "/crash"); err == nil {
		response.Body.Close()
	}
	third, _ := asked(t, endpoint)
	if third == second {
		t.Error("it did not crash")
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(c.path), "logs", "instance.app__a_b__.log"))
	if err != nil || strings.Count(string(log), "listening on "+endpoint.String()) != 3 || !strings.Contains(string(log), "exit status 7; it is started again in 100ms") {
		t.Errorf("log %q, %v", log, err)
	}

	// A stop ends it before Set returns.
	i.Running = false
	set(t, c, i)
	if !gone(third) {
		t.Error("it outlives its instance")
	}
	if err := refused(endpoint); err != nil {
		t.Error(err)
	}
}

// TestProgramGivesItsPort to pages and takes it back, and a set that fails leaves it running.
func TestProgramGivesItsPort(t *testing.T) {
	c := child(t)
	endpoint := freeEndpoint(t, "127.20.0.14")
	i := programAt(t, endpoint, "one")
	set(t, c, i)
	asked(t, endpoint)
	set(t, c, web(i.Address, "a page", endpoint))
	if body := get(t, endpoint); body != "a page" {
		t.Errorf("got %q", body)
	}
	set(t, c, i)
	pid, _ := asked(t, endpoint)

	stranger, err := net.Listen("tcp", "127.20.0.15:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	taken := web("instance.b", "x", netip.MustParseAddrPort(stranger.Addr().String()))
	if err := c.Set(t.Context(), []Instance{i, taken}); err == nil {
		t.Error("a port that is taken is not refused")
	}
	if again, _ := asked(t, endpoint); again != pid {
		t.Error("a set that changed nothing started the program again")
	}
}

func TestProgramThatIsNotThere(t *testing.T) {
	c := child(t)
	for _, name := range []string{"no-such-program-anywhere", "./nothing", "/nothing"} {
		i := programAt(t, freeEndpoint(t, "127.20.0.16"), "")
		i.Command = []string{name}
		err := c.Set(t.Context(), []Instance{i})
		if err == nil || !strings.Contains(err.Error(), i.Address+": command: ") || !strings.Contains(err.Error(), "nothing") && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestProgramAndItsChildren are ended together, also where they do not listen to SIGTERM.
func TestProgramAndItsChildren(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the grace period")
	}
	c := child(t)
	i := programAt(t, freeEndpoint(t, "127.20.0.17"), "")
	i.Command, i.Env = []string{"sh", "-c", "trap '' TERM; sleep 60 & echo $! > child; echo $$ > parent; while :; do sleep 1; done"}, nil
	set(t, c, i)
	read := func(name string) (pid int) {
		deadline := time.Now().Add(10 * time.Second)
		for pid == 0 && time.Now().Before(deadline) {
			text, _ := os.ReadFile(filepath.Join(i.WorkingDir, name))
			fmt.Sscan(string(text), &pid)
			time.Sleep(10 * time.Millisecond)
		}
		return pid
	}
	child, parent := read("child"), read("parent")
	begin := time.Now()
	set(t, c)
	if waited := time.Since(begin); waited < grace || waited > 3*grace {
		t.Errorf("it took %s, with %s of grace", waited, grace)
	}
	if child == 0 || parent == 0 || !gone(parent) {
		t.Errorf("parent %d is gone: %v", parent, gone(parent))
	}
	// Nobody reaps an orphan in some containers: what counts is that it does not run. That it is
	// killed, and by when the kernel has ended it, are two things.
	runs := func() (string, bool) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return string(state), err == nil && !strings.Contains(string(state), ") Z ")
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if state, yes := runs(); !yes {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("its child %d runs on: %s", child, state)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	log := &outputLog{path: filepath.Join(t.TempDir(), "logs", "a.log")}
	line := []byte(strings.Repeat("x", 1<<20))
	for range 35 {
		if n, err := log.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	log.close()
	names, err := filepath.Glob(log.path + "*")
	if err != nil || len(names) != 2 {
		t.Fatalf("files %v, %v", names, err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Size() > outputLimit || info.Size() < 5<<20 {
			t.Errorf("%s: %v, %v", name, info.Size(), err)
		}
	}
}
