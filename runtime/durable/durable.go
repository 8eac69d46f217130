// Package durable is the file layer under everything that must survive a crash:
//
//	err := durable.WriteFile(durable.OS, "slbctl.state.json", data, 0o600)
//
//	j, err := durable.OpenJournal(durable.OS, "slbctl.state.journal")
//	err = j.Append([]byte(`{"op":"begin"}`))
//
// It is deliberately small: a handful of operations behind FS, so that a test
// can stop, cut or fail every single one of them (package durabletest), and the
// real binary can be stopped before each of them (build tag failpoint).
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// FS is what durable code may do to files. A name change (create, rename,
// remove, mkdir) is on disk only after SyncDir of its folder, and the bytes of a
// file only after its Sync.
type FS interface {
	// Create makes a new file with exactly these permissions; it fails with
	// fs.ErrExist when there is one.
	Create(path string, perm fs.FileMode) (File, error)
	// Append opens a file for writing at its end, making it (0600) if needed.
	Append(path string) (File, error)
	// ReadFile returns the whole file, or an error that is fs.ErrNotExist.
	ReadFile(path string) ([]byte, error)
	// ReadDir lists the names in a folder, sorted; fs.ErrNotExist without it.
	ReadDir(path string) ([]string, error)
	// ModTime is when the file was last written.
	ModTime(path string) (time.Time, error)
	Rename(from, to string) error
	Remove(path string) error
	// MkdirAll makes a folder (0700) and those above it. One that is there and open to
	// others, as a backup may have left it, is closed to them.
	MkdirAll(path string) error
	SyncDir(path string) error
}

// File is an open file of an FS.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// tempSerial tells apart the temporary files of one process.
var tempSerial atomic.Uint64

// WriteFile replaces the content of path in one step: whoever reads it, also
// after a power loss, finds the whole old content or the whole new one. When it
// fails nothing has changed, and its temporary file is gone.
func WriteFile(fsys FS, path string, data []byte, perm fs.FileMode) error {
	name := strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(tempSerial.Add(1), 10)
	temp := filepath.Join(filepath.Dir(path), tempPrefix(path)+name+tempSuffix)
	if err := writeNew(fsys, temp, data, perm); err != nil {
		return failed(fsys, temp, fmt.Errorf("%s: write a new version: %w", path, err))
	}
	if err := fsys.Rename(temp, path); err != nil {
		return failed(fsys, temp, fmt.Errorf("%s: replace with the new version: %w", path, err))
	}
	if err := fsys.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%s: sync its folder: %w", path, err)
	}
	return nil
}

func writeNew(fsys FS, path string, data []byte, perm fs.FileMode) error {
	f, err := fsys.Create(path, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// failed removes the temporary file after an error. That it may not be there is
// fine; that it cannot be removed is told beside the first error.
func failed(fsys FS, temp string, err error) error {
	if rm := fsys.Remove(temp); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s: remove: %w", temp, rm))
	}
	return err
}

const tempSuffix = ".tmp"

// tempPrefix starts the names of path's temporary files. It keeps well below the
// 255 bytes that a file name may have.
func tempPrefix(path string) string {
	base := filepath.Base(path)
	if len(base) > 200 {
		base = base[:200]
	}
	return "." + base + "."
}

// RemoveTemps removes the temporary files that writers of path left behind when
// they were killed. Only the holder of the lock that guards path may call it.
func RemoveTemps(fsys FS, path string) error {
	dir := filepath.Dir(path)
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: list: %w", dir, err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix(path)) || !strings.HasSuffix(name, tempSuffix) {
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: remove a left-over temporary file: %w", dir, err)
		}
	}
	return nil
}

// OS is the real file system. Every operation that changes something is a
// failpoint: "fs:N" stops the process before the N-th, and "full:N" lets no
// operation have space from the N-th on.
var OS FS = osFS{}

// What an operation needs of the disk: space, or none.
const (
	keeps = false
	grows = true
)

type osFS struct{}

type osFile struct{ f *os.File }

func (osFS) Create(path string, perm fs.FileMode) (File, error) {
	if err := operation(grows); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if perm != 0o600 {
		if err := f.Chmod(perm); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return osFile{f}, nil
}

func (osFS) Append(path string) (File, error) {
	if err := operation(grows); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

func (osFS) ModTime(path string) (time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

func (osFS) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Rename(from, to string) error {
	if err := operation(keeps); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (osFS) Remove(path string) error {
	if err := operation(keeps); err != nil {
		return err
	}
	return os.Remove(path)
}

func (osFS) MkdirAll(path string) error {
	need := grows
	info, err := os.Stat(path)
	there := err == nil && info.IsDir()
	if there {
		need = keeps
	}
	if err := operation(need); err != nil {
		return err
	}
	if there && info.Mode().Perm()&0o077 != 0 {
		return os.Chmod(path, 0o700)
	}
	return os.MkdirAll(path, 0o700)
}

func (osFS) SyncDir(path string) error {
	if err := operation(keeps); err != nil {
		return err
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // file systems that cannot sync a folder keep its order themselves
	}
	return errors.Join(err, d.Close())
}

func (f osFile) Write(p []byte) (int, error) {
	if err := operation(grows); err != nil {
		return 0, err
	}
	return f.f.Write(p)
}

func (f osFile) Sync() error {
	if err := operation(keeps); err != nil {
		return err
	}
	return f.f.Sync()
}

func (f osFile) Close() error { return f.f.Close() }

// PutAside renames a file to the first name of its own ending in corrupt-N that is
// free, and returns that: what was in it may still help somebody.
func PutAside(fsys FS, path string) (aside string, err error) {
	dir := filepath.Dir(path)
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("%s: list: %w", dir, err)
	}
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.corrupt-%d", path, n)
		if slices.Contains(names, filepath.Base(aside)) {
			continue
		}
		if err := fsys.Rename(path, aside); err != nil {
			return "", fmt.Errorf("%s: keep it as %s: %w", path, aside, err)
		}
		return aside, fsys.SyncDir(dir)
	}
}
