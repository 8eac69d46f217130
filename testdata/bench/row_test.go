//go:build linux

package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

func TestSelectRows(t *testing.T) {
	all := rows()
	if got, err := selectRows(all, ""); err != nil || len(got) != len(all) {
		t.Errorf("%d rows, %v, want all", len(got), err)
	}
	got, err := selectRows(all, "tcp-bulk,http-64")
	if err != nil || len(got) != 2 || got[0].name != "tcp-bulk" || got[1].name != "http-64" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := selectRows(all, "http"); err == nil || !strings.Contains(err.Error(), "everything") {
		t.Errorf("an unknown name: %v", err)
	}
}

// TestConfigurationsAreAccepted lets each program read what it will be given.
func TestConfigurationsAreAccepted(t *testing.T) {
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			s, err := r.setup.started(t.TempDir(), 10000)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"bench.slb.hcl", "rules.map", "haproxy.cfg", "nginx.conf"} {
				if _, err := s.write(name); err != nil {
					t.Fatal(err)
				}
			}
			if _, diags := spec.Load(s.Folder, spec.Options{}); len(diags) > 0 {
				t.Errorf("slbctl: %v", diags)
			}
			for _, args := range [][]string{
				{haproxy, "-c", "-f", filepath.Join(s.Folder, "haproxy.cfg")},
				{nginx, "-t", "-p", s.Folder, "-c", filepath.Join(s.Folder, "nginx.conf")},
			} {
				if _, err := exec.LookPath(args[0]); err != nil {
					t.Log(args[0], "is not installed")
				} else if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", args[0], err, out)
				}
			}
		})
	}
}

func TestServerHasSeenAll(t *testing.T) {
	kept := row{connections: 64, keepsServers: true}
	for name, test := range map[string]struct {
		row  row
		load load
		c    counters
		ok   bool
	}{
		"kept":              {kept, load{Requests: 10000}, counters{64, 10002}, true},
		"some opened again": {kept, load{Requests: 10000}, counters{150, 10002}, true},
		"one per request":   {kept, load{Requests: 10000}, counters{10000, 10000}, false},
		"as the row wants":  {row{connections: 64}, load{Requests: 10000}, counters{10000, 10000}, true},
		"streams":           {row{connections: 8, streams: 100, keepsServers: true}, load{Requests: 10000}, counters{800, 10800}, true},
		"one per stream":    {row{connections: 8, streams: 100, keepsServers: true}, load{Requests: 10000}, counters{10000, 10800}, false},
		"answered itself":   {kept, load{Requests: 10000}, counters{64, 9000}, false},
	} {
		if err := test.row.checkServer(test.load, test.c); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLogIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), accessLog)
	if err := os.WriteFile(path, []byte(strings.Repeat("line\n", 990)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkLog(path, 1000); err != nil {
		t.Error(err)
	}
	if err := checkLog(path, 1020); err == nil {
		t.Error("30 of 1020 lines are missing and nobody minds")
	}
}

// TestProbe shows what each kind of row asks of a proxy, with stand-ins for one.
func TestProbe(t *testing.T) {
	forwarded := "GET / HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n"
	for name, test := range map[string]struct {
		setup  setup
		body   string
		cookie string // set by every answer, or with ";once" only by the first
		ok     bool
	}{
		"tcp":                 {setup{}, "GET / HTTP/1.1\r\n\r\n", "", true},
		"http":                {setup{HTTP: true}, forwarded, "", true},
		"tcp instead of http": {setup{HTTP: true}, "GET / HTTP/1.1\r\n\r\n", "", false},
		"sticky":              {setup{HTTP: true, Everything: true}, forwarded, "SERVERID=a;once", true},
		"no cookie":           {setup{HTTP: true, Everything: true}, forwarded, "", false},
		"never the same":      {setup{HTTP: true, Everything: true}, forwarded, "SERVERID=a", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				cookie, once := strings.CutSuffix(test.cookie, ";once")
				if cookie != "" && !(once && r.Header.Get("Cookie") == cookie) {
					w.Header().Set("Set-Cookie", cookie)
				}
				w.Write([]byte(test.body))
			}))
			defer s.Close()
			test.setup.Endpoint = netip.MustParseAddrPort(s.Listener.Addr().String())
			got, err := targetOf(test.setup).probe(test.setup)
			if (err == nil) != test.ok {
				t.Fatal(err)
			}
			if want, _ := strings.CutSuffix(test.cookie, ";once"); test.ok && got.Cookie != want {
				t.Errorf("cookie %q, want %q", got.Cookie, want)
			}
		})
	}
}

// TestCPUAndMemoryOfATree compares with what the kernel says at the end of a process
// whose child has done the work.
func TestCPUAndMemoryOfATree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; read x; true'; true")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // the work is done
		t.Fatal(err)
	}
	used, _, err := cpuOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if pids := tree(cmd.Process.Pid); len(pids) != 2 {
		t.Errorf("%v, want a process and its child", pids)
	}
	if kib, err := memoryOf(cmd.Process.Pid); err != nil || kib < 50 {
		t.Errorf("%v KiB, %v", kib, err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	total := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if off := total - used; off < -20*time.Millisecond || off > 50*time.Millisecond {
		t.Errorf("%v, the kernel says %v", used, total)
	}
}
