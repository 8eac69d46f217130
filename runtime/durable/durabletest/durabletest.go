// Package durabletest is a file system in memory that loses what a real one may
// lose. A test runs code once to count its operations, then once more for each
// of them and stops there:
//
//	disk := durabletest.New()
//	disk.StopAt(3, nil)                       // the third operation does not happen
//	err := durable.WriteFile(disk, "/x", data, 0o600)
//	after := disk.Reboot(durabletest.Synced)  // what is left after a power cut
package durabletest

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"slbctl/runtime/durable"
)

// ErrStopped is what every operation returns from the stop on: the process
// under test is dead and can do nothing more, not even clean up.
var ErrStopped = errors.New("stopped")

// Loss is what the crash takes with it.
type Loss int

const (
	// Nothing: the process was killed, the kernel lives and has everything.
	Nothing Loss = iota
	// Synced: a power cut; only synced bytes and synced names are left.
	Synced
	// NamesFirst: a power cut; names went to disk at once, bytes only when
	// synced. This is how a rename without fsync leaves an empty file.
	NamesFirst
	// Cut: a power cut in the middle of writing back: half of the bytes that
	// were not synced are there.
	Cut
)

// Losses lists all of them.
var Losses = []Loss{Nothing, Synced, NamesFirst, Cut}

type inode struct {
	data   []byte
	synced int // data[:synced] is on disk
	perm   fs.FileMode
}

// Disk is a durable.FS. It is not safe for concurrent use.
type Disk struct {
	live, synced map[string]*inode // by path; synced is what names are on disk
	ops          int
	at           int
	fail         error
	stopped      bool
	full         int // the operation from which on there is no space; 0 = there is
	short        int
	// Log names every operation that changes something, in order.
	Log []string
}

// New returns an empty disk.
func New() *Disk {
	return &Disk{live: map[string]*inode{}, synced: map[string]*inode{}}
}

// StopAt makes the n-th changing operation from now fail, counted from 1. With
// a nil error it and everything after it returns ErrStopped; otherwise only this
// one fails, with the error, and a write has written half of its bytes.
func (d *Disk) StopAt(n int, err error) {
	d.at, d.fail = d.ops+n, err
}

// Fill makes every operation from now on fail that needs space, with ENOSPC, as a full
// disk does; what takes none goes on. FillAt does so from the n-th operation on, counted
// from 1.
func (d *Disk) Fill() { d.FillAt(1) }

// FillAt is Fill for later.
func (d *Disk) FillAt(n int) { d.full = d.ops + n }

// Ops counts the changing operations so far.
func (d *Disk) Ops() int { return d.ops }

// Stopped says whether the stop has happened.
func (d *Disk) Stopped() bool { return d.stopped }

// ShortWrites makes the write at the stop leave its first n bytes in the file.
func (d *Disk) ShortWrites(n int) { d.short = n }

// Reboot returns the disk as the next process finds it.
func (d *Disk) Reboot(loss Loss) *Disk {
	names := d.live
	if loss == Synced {
		names = d.synced
	}
	next := New()
	for name, file := range names {
		size := len(file.data)
		switch loss {
		case Synced, NamesFirst:
			size = file.synced
		case Cut:
			size = file.synced + (size-file.synced)/2
		}
		data := slices.Clone(file.data[:size])
		next.live[name] = &inode{data: data, synced: size, perm: file.perm}
	}
	next.synced = maps.Clone(next.live)
	return next
}

// Names lists every file, sorted.
func (d *Disk) Names() []string { return slices.Sorted(maps.Keys(d.live)) }

// Perm returns a file's permissions.
func (d *Disk) Perm(name string) fs.FileMode { return d.live[name].perm }

// Put writes a file as if it had always been there.
func (d *Disk) Put(name string, data []byte) {
	f := &inode{data: slices.Clone(data), synced: len(data), perm: 0o600}
	d.live[name], d.synced[name] = f, f
}

// step counts one changing operation and says whether it may happen.
func (d *Disk) step(what string) error {
	if d.stopped {
		return ErrStopped
	}
	d.ops++
	d.Log = append(d.Log, what)
	if kind, _, _ := strings.Cut(what, " "); d.full > 0 && d.ops >= d.full && (kind == "create" || kind == "append" || kind == "write") {
		return syscall.ENOSPC
	}
	if d.ops != d.at {
		return nil
	}
	if d.fail != nil {
		return d.fail
	}
	d.stopped = true
	return ErrStopped
}

// Create implements durable.FS.
func (d *Disk) Create(name string, perm fs.FileMode) (durable.File, error) {
	if err := d.step("create " + name); err != nil {
		return nil, err
	}
	if d.live[name] != nil {
		return nil, fs.ErrExist
	}
	d.live[name] = &inode{perm: perm}
	return &file{d, d.live[name], name}, nil
}

// Append implements durable.FS.
func (d *Disk) Append(name string) (durable.File, error) {
	if err := d.step("append " + name); err != nil {
		return nil, err
	}
	if d.live[name] == nil {
		d.live[name] = &inode{perm: 0o600}
	}
	return &file{d, d.live[name], name}, nil
}

// ModTime implements durable.FS. All files of a disk are of one moment.
func (d *Disk) ModTime(name string) (time.Time, error) {
	if d.live[name] == nil {
		return time.Time{}, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return time.Unix(0, 0), nil
}

// ReadFile implements durable.FS.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	if d.stopped {
		return nil, ErrStopped
	}
	if f := d.live[name]; f != nil {
		return slices.Clone(f.data), nil
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}

// ReadDir implements durable.FS. A folder exists while a file is in it.
func (d *Disk) ReadDir(dir string) ([]string, error) {
	if d.stopped {
		return nil, ErrStopped
	}
	var names []string
	for name := range d.live {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	if names == nil {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrNotExist}
	}
	slices.Sort(names)
	return names, nil
}

// Rename implements durable.FS.
func (d *Disk) Rename(from, to string) error {
	if err := d.step("rename " + from + " " + to); err != nil {
		return err
	}
	f := d.live[from]
	if f == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	d.live[to] = f
	delete(d.live, from)
	return nil
}

// Remove implements durable.FS.
func (d *Disk) Remove(name string) error {
	if err := d.step("remove " + name); err != nil {
		return err
	}
	if d.live[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(d.live, name)
	return nil
}

// MkdirAll implements durable.FS.
func (d *Disk) MkdirAll(dir string) error { return d.step("mkdir " + dir) }

// SyncDir implements durable.FS.
func (d *Disk) SyncDir(dir string) error {
	if err := d.step("syncdir " + dir); err != nil {
		return err
	}
	in := func(name string, _ *inode) bool { return path.Dir(name) == dir }
	maps.DeleteFunc(d.synced, in)
	for name, f := range d.live {
		if in(name, f) {
			d.synced[name] = f
		}
	}
	return nil
}

type file struct {
	disk *Disk
	node *inode
	name string
}

func (f *file) Write(p []byte) (int, error) {
	err := f.disk.step("write " + f.name)
	n := len(p)
	switch {
	case errors.Is(err, ErrStopped):
		n = min(n, f.disk.short)
		f.disk.short = 0
	case err != nil:
		n /= 2
	}
	f.node.data = append(f.node.data, p[:n]...)
	return n, err
}

func (f *file) Sync() error {
	if err := f.disk.step("sync " + strings.TrimSpace(f.name)); err != nil {
		return err
	}
	f.node.synced = len(f.node.data)
	return nil
}

func (f *file) Close() error { return nil }
