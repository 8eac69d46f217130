package webserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// outputLimit is how long the log of a program grows, in bytes, before the next one is
// begun. One older is kept beside it.
const outputLimit = 10 << 20

// logName is the file of an instance's output. Other characters than these would need
// quotes in a shell, and a slash would lead elsewhere.
func logName(instance string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, instance)
	const longest = 200 // bytes; file systems have 255
	return name[:min(len(name), longest)] + ".log"
}

// outputLog is the log of one program. What cannot be written is lost, and the program
// goes on: its output is not worth its service.
type outputLog struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
}

// Write implements io.Writer and never fails.
func (l *outputLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.size+int64(len(p)) > outputLimit {
		l.file.Close()
		l.file = nil
		_ = os.Rename(l.path, l.path+".1") // else the old one grows on
	}
	if l.file == nil && !l.open() {
		return len(p), nil
	}
	n, _ := l.file.Write(p)
	l.size += int64(n)
	return len(p), nil
}

func (l *outputLog) open() bool {
	if os.MkdirAll(filepath.Dir(l.path), 0o700) != nil {
		return false
	}
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return false
	}
	l.file, l.size = file, 0
	if info, err := file.Stat(); err == nil {
		l.size = info.Size()
	}
	return true
}

// note writes a line of ours between those of the program.
func (l *outputLog) note(format string, args ...any) {
	fmt.Fprintf(l, "slbctl %s "+format+"\n", append([]any{time.Now().UTC().Format(time.RFC3339)}, args...)...)
}

func (l *outputLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
	}
}
