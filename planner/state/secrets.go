package state

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"slbctl/runtime/durable"
	"slbctl/spec"
)

// committedFile is where the daemon notes what it comes back with.
const committedFile = "committed.json"

func (s *Store) secrets() durable.Secrets { return durable.SecretsIn(s.fsys, s.dir) }

// KeepSecrets puts what digests stand for where the daemon finds it, before anything
// refers to it: a crash leaves a secret too many, never one too few.
func (s *Store) KeepSecrets(byDigest map[string]string) error {
	if len(byDigest) == 0 {
		return nil
	}
	if err := s.mkdir(s.dir); err != nil {
		return err
	}
	for digest, text := range byDigest {
		if err := s.secrets().Put(spec.SecretName(digest), text); err != nil {
			return err
		}
	}
	return nil
}

// Lacks lists the resources of a state whose secrets are not kept.
func (s *Store) Lacks(st *State) (addresses []string, err error) {
	for i := range st.Resources {
		r := &st.Resources[i]
		spec.EachSecret(r.Attributes, func(digest string) {
			_, secretErr := s.Secret(digest)
			switch {
			case !errors.Is(secretErr, fs.ErrNotExist):
				err = errors.Join(err, secretErr)
			case !slices.Contains(addresses, r.Address):
				addresses = append(addresses, r.Address)
			}
		})
	}
	return addresses, err
}

// Secret is what a digest stands for; the error is fs.ErrNotExist when it is not kept.
func (s *Store) Secret(digest string) (string, error) {
	return s.secrets().Get(spec.SecretName(digest))
}

// forgetSecrets removes those that neither the state's document nor an earlier one,
// nor what the daemon comes back with, refers to. Where that cannot be told they stay
// for another time.
func (s *Store) forgetSecrets(document []byte) error {
	names, err := s.secrets().Names()
	if err != nil {
		return err
	}
	unused := map[string]bool{}
	for _, name := range names {
		if isDigest(name) {
			unused[name] = true
		}
	}
	spare := func(document []byte) {
		for name := range unused {
			if bytes.Contains(document, []byte(name)) {
				delete(unused, name)
			}
		}
	}
	spare(document)
	if len(unused) == 0 {
		return nil // so that the history is not read at every apply
	}
	serials, err := s.History()
	if err != nil {
		return nil
	}
	files := []string{filepath.Join(s.dir, committedFile)}
	for _, n := range serials {
		files = append(files, s.historyPath(n))
	}
	for _, file := range files {
		data, err := s.fsys.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		spare(data)
	}
	gone := make([]string, 0, len(unused))
	for name := range unused {
		gone = append(gone, name)
	}
	return s.secrets().Remove(gone...)
}

// isDigest tells the secrets of resources from those that the daemon keeps for itself.
func isDigest(name string) bool {
	const length = 64
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(name) == length
}
