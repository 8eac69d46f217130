//go:build linux

package netloop

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Columns of /proc/net/tcp and its kin.
const (
	columnLocal = 1
	columnState = 3
	columnInode = 9

	stateListen = "0A"
)

// holder describes the process that has a port, as far as /proc tells this
// user: "pid 42 (nginx -g daemon off;)", or "".
func holder(network string, ep netip.AddrPort) string {
	for _, table := range []string{network, network + "6"} {
		for _, inode := range socketsOn("/proc/net/"+table, network, ep) {
			pid, ok := processOf(inode)
			if !ok {
				continue
			}
			pid = masterOf(pid)
			if pid == os.Getpid() {
				return fmt.Sprintf("this process (pid %d)", pid)
			}
			return fmt.Sprintf("pid %d (%s)", pid, commandOf(pid))
		}
	}
	return ""
}

// socketsOn lists the inodes of the sockets in a table of /proc that keep others from ep.
func socketsOn(table, network string, ep netip.AddrPort) []string {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	var inodes []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		columns := strings.Fields(lines.Text())
		if len(columns) <= columnInode || network == "tcp" && columns[columnState] != stateListen {
			continue
		}
		local, ok := parseProcEndpoint(columns[columnLocal])
		if !ok || local.Port() != ep.Port() {
			continue
		}
		addr := ep.Addr().Unmap()
		if local.Addr() == addr || local.Addr().IsUnspecified() || addr.IsUnspecified() {
			inodes = append(inodes, columns[columnInode])
		}
	}
	return inodes
}

// parseProcEndpoint reads "0100007F:1F90": words of the address in the machine's
// byte order, then the port.
func parseProcEndpoint(s string) (netip.AddrPort, bool) {
	address, portText, ok := strings.Cut(s, ":")
	if !ok {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(portText, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	b, err := hex.DecodeString(address)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	addr, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok
}

// processOf finds the process that has the socket open.
func processOf(inode string) (int, bool) {
	want := "socket:[" + inode + "]"
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == want {
			pid, err := strconv.Atoi(strings.Split(link, "/")[2])
			return pid, err == nil
		}
	}
	return 0, false
}

// masterOf follows a process up to the first of its program: who wants a server to
// end must end that one, since it would start its workers again.
func masterOf(pid int) int {
	program := func(pid int) string {
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return exe
	}
	for exe := program(pid); exe != ""; {
		parent := parentOf(pid)
		if parent == 0 || program(parent) != exe {
			break
		}
		pid = parent
	}
	return pid
}

// parentOf reads a process's parent from /proc/PID/stat, where it follows the name in
// parentheses, which may have some of its own, and the state; 0 = unknown.
func parentOf(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// commandOf is a process's command line, cut to what fits in a message.
func commandOf(pid int) string {
	const longest = 80
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	command := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.TrimRight(string(b), "\x00"))
	if command == "" {
		b, _ = os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		command = strings.TrimSpace(string(b))
	}
	if len(command) > longest {
		command = command[:longest] + "..."
	}
	return command
}

func unwrapErrno(err error) unix.Errno {
	var errno unix.Errno
	errors.As(err, &errno)
	return errno
}
