package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"slbctl/planner"
	"slbctl/planner/state"
)

// fingerprint takes the digests of what a plan was made from, or of the same
// things now. They are keyed with the folder's secret, as there may be sensitive values in
// files and variables that are easy to guess. Modules are the folders of modules.
func fingerprint(store *state.Store, st *state.State, seen planner.Observed, modules, varFiles []string) (planner.Fingerprint, error) {
	key, err := store.Key()
	if err != nil {
		return planner.Fingerprint{}, err
	}
	configuration, err := configurationDigest(key, modules)
	if err != nil {
		return planner.Fingerprint{}, err
	}
	variables, err := variablesDigest(key, os.Environ(), varFiles)
	if err != nil {
		return planner.Fingerprint{}, err
	}
	return planner.Fingerprinted(configuration, variables, st, seen)
}

// configurationDigest covers the files of the configuration and of its modules. The folders
// of the modules follow the digest, so that apply can take it again: as long as these files
// are the same, there are no other modules.
func configurationDigest(key []byte, modules []string) (string, error) {
	files, err := configurationFiles()
	if err != nil {
		return "", err
	}
	for _, folder := range modules {
		inside, err := filesIn(folder)
		if err != nil {
			return "", err
		}
		files = append(files, inside...)
	}
	sum, err := digest(key, files, nil)
	return followed(sum, modules), err
}

// variablesDigest covers every source of variables that can move: the environment
// and files. What -var gave is in the plan and nowhere else. The names of the files
// follow the digest, so that apply can take it again.
func variablesDigest(key []byte, environ, files []string) (string, error) {
	var settings []string
	for _, e := range environ {
		if strings.HasPrefix(e, "SLBCTL_VAR_") {
			settings = append(settings, e)
		}
	}
	slices.Sort(settings)
	sum, err := digest(key, files, settings)
	return followed(sum, files), err
}

// followed writes names behind a digest.
func followed(sum string, names []string) string {
	for _, name := range names {
		sum += " " + url.PathEscape(name)
	}
	return sum
}

// following returns the names behind a digest.
func following(sum string) ([]string, error) {
	words := strings.Fields(sum)
	var names []string
	for _, w := range words[min(1, len(words)):] {
		name, err := url.PathUnescape(w)
		if err != nil {
			return nil, fmt.Errorf("saved plan: the name %q: %w", w, err)
		}
		names = append(names, name)
	}
	return names, nil
}

// digest is over names and contents of files, and some words. A file that is gone
// by now is a difference, not an error.
func digest(key []byte, files, words []string) (string, error) {
	h := hmac.New(sha256.New, key)
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			return "", err
		}
		fmt.Fprintf(h, "file %q %t %d\n", name, err == nil, len(data))
		h.Write(data)
	}
	for _, w := range words {
		fmt.Fprintf(h, "word %q\n", w)
	}
	return "hmac-sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
