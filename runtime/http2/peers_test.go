package http2

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// listen serves connections with prior knowledge until the test ends, each with a loop
// of its own, and returns the port.
func listen(t *testing.T, handler http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var loops sync.WaitGroup
	loops.Go(func() {
		for {
			nc, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			lp := newLoop(t, NewServer(NewPool(), 0), nc, nil)
			lp.event = answerWith(t, lp.scratch, served(handler))
			loops.Go(lp.run)
		}
	})
	t.Cleanup(func() {
		l.Close()
		loops.Wait()
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// tool runs a program of Debian's, or skips the test where it is missing.
func tool(t *testing.T, name string, args ...string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Logf("%s: %v", name, err)
	}
	return string(out)
}

var sized = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")); err == nil {
		w.Write(bytes.Repeat([]byte("x"), n))
	}
})

func TestH2load(t *testing.T) {
	port := listen(t, sized)
	for _, args := range [][]string{
		{"-n5000", "-c4", "-m100", "http://127.0.0.1:" + port + "/10"},
		{"-n200", "-c2", "-m10", "http://127.0.0.1:" + port + "/300000"},
		{"-n200", "-c2", "-m10", "-w12", "-W12", "http://127.0.0.1:" + port + "/100000"},
	} {
		out := tool(t, "h2load", args...)
		if want := strings.TrimPrefix(args[0], "-n") + " succeeded, 0 failed, 0 errored, 0 timeout"; !strings.Contains(out, want) {
			t.Errorf("%v: %s", args, out)
		}
	}
}

func TestCurl(t *testing.T) {
	url := "http://127.0.0.1:" + listen(t, sized) + "/100000"
	for _, args := range [][]string{{"-d", strings.Repeat("x", 100_000)}, {"-I"}, {"-F", "a=b"}, {"-H", "Expect: 100-continue", "-d", "x"}} {
		args = append(args, "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{size_download}\n", url)
		want := "2 200 100000\n"
		if args[0] == "-I" {
			want = "2 200 0\n"
		}
		if out := tool(t, "curl", args...); out != want {
			t.Errorf("%.40q: %s", args, out)
		}
	}
}

// TestH2spec runs the conformance suite, where it is installed:
//
//	go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
func TestH2spec(t *testing.T) {
	out := tool(t, "h2spec", "-h", "127.0.0.1", "-p", listen(t, sized), "-P", "/10", "-o", "3")
	if !regexp.MustCompile(`(?m)^\d+ tests, \d+ passed, 0 skipped, 0 failed$`).MatchString(out) {
		t.Error(out)
	}
}
