package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slbctl/sim/trace"
)

// simImportCmd makes a trace of an access log.
type simImportCmd struct {
	Log       string `arg:"" help:"The log; it may be compressed by gzip."`
	Out       string `name:"o" short:"o" required:"" placeholder:"TRACE" help:"The file to write."`
	Anonymize string `placeholder:"KEYFILE" help:"Hash client addresses, which stay in their /24 (IPv6: /48). Equal keys give equal addresses; without the file a key is made."`
	logFlags
}

// logFlags say how to read a log.
type logFlags struct {
	Format string `placeholder:"NAME" help:"How the log is written: json, combined, haproxy, slb, har or gor. Without it the first lines tell."`
}

func (c *simImportCmd) Run(s *session) error {
	opt := trace.Options{Format: c.Format}
	if c.Anonymize != "" {
		key, err := keyOf(c.Anonymize)
		if err != nil {
			return err
		}
		opt.AnonymizeKey = key
	}
	if same(c.Log, c.Out) {
		return fmt.Errorf("-o %s is the log itself: name another file", c.Out)
	}
	summary, err := trace.ImportFile(s.ctx, c.Log, c.Out, opt)
	if err != nil {
		return err
	}
	s.unread(summary.Problems)
	_, err = fmt.Fprintf(s.stdout, "%s: %s of %s for %s in %s, from %s on (%s)\n", c.Out,
		counted(summary.Requests, "request"), counted(int64(summary.Clients), "client"), counted(int64(summary.Targets), "target"),
		summary.Duration.Round(time.Millisecond), summary.Start.Format(time.RFC3339), summary.Format)
	return err
}

// unread warns of what could not be read, with the places of the first ones.
func (s *session) unread(problems []trace.Problem) {
	for _, p := range problems {
		lines := strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Lines), " ", ", "), "[]")
		if p.Entries > int64(len(p.Lines)) {
			lines += ", ..."
		}
		s.note("Warning: %s left out, %s: line %s", counted(p.Entries, "entry"), p.Reason, lines)
	}
}

// keySize is enough for HMAC-SHA256 to be a secret.
const keySize = 32

// keyOf reads a key, which it makes if it is not there.
func keyOf(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) < keySize:
		return nil, fmt.Errorf("-anonymize: %s has %d bytes: a key has at least %d", path, len(key), keySize)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return key, err
	}
	key = make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(key)
	return key, errors.Join(err, f.Close())
}

// same reports whether two names are one file.
func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// counted is a number and what it counts.
func counted(n int64, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "y"):
		what = strings.TrimSuffix(what, "y") + "ies"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
