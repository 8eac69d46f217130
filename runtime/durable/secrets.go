package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Secrets is a folder of texts that stand nowhere else, such as private keys: each in
// a file that only its owner can read, under the name by which others refer to it.
type Secrets struct {
	fsys FS
	dir  string
}

// SecretsIn returns the secrets of a working folder's .slbctl. Nothing is made yet.
func SecretsIn(fsys FS, folder string) Secrets {
	return Secrets{fsys, filepath.Join(folder, "secrets")}
}

// Put keeps a text; one that is there already is replaced only if it differs.
func (s Secrets) Put(name, text string) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	if known, err := s.fsys.ReadFile(path); err == nil && string(known) == text {
		return nil
	}
	if err := s.fsys.MkdirAll(s.dir); err != nil {
		return fmt.Errorf("secrets: make the folder %s: %w", s.dir, err)
	}
	if err := s.fsys.SyncDir(filepath.Dir(s.dir)); err != nil {
		return fmt.Errorf("secrets: sync the folder above %s: %w", s.dir, err)
	}
	if err := RemoveTemps(s.fsys, path); err != nil { // nobody else writes this one
		return err
	}
	return WriteFile(s.fsys, path, []byte(text), 0o600)
}

// Get returns a text; the error is fs.ErrNotExist when it is not kept.
func (s Secrets) Get(name string) (string, error) {
	path, err := s.path(name)
	if err != nil {
		return "", err
	}
	text, err := s.fsys.ReadFile(path)
	return string(text), err
}

// Names lists what is kept, sorted; also that of which only a writer that was killed
// has left something.
func (s Secrets) Names() ([]string, error) {
	files, err := s.fsys.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("secrets %s: list: %w", s.dir, err)
	}
	for i, file := range files {
		files[i] = nameOf(file)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// nameOf is the name of the secret in a file or a temporary file. Names have no dots.
func nameOf(file string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(file, "."), ".")
	return name
}

// Remove forgets texts, and what writers of them that were killed have left.
func (s Secrets) Remove(names ...string) error {
	files, err := s.fsys.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) || len(names) == 0 {
		return nil
	}
	for _, file := range files {
		if !slices.Contains(names, nameOf(file)) {
			continue
		}
		if err := s.fsys.Remove(filepath.Join(s.dir, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("secrets: remove %s: %w", file, err)
		}
	}
	return errors.Join(err, s.fsys.SyncDir(s.dir))
}

// path keeps names inside the folder: they come out of files that people can edit.
func (s Secrets) path(name string) (string, error) {
	if name == "" || strings.ContainsAny(name, "./\\\x00") {
		return "", fmt.Errorf("%q is no name for a secret", name)
	}
	return filepath.Join(s.dir, name), nil
}
