// Package testdata holds the configurations that tests run and `slbctl init`
// writes, so that what a user begins with is what is tested:
//
//	starter, err := testdata.Starter("quickstart")
//	files, err := fs.Glob(starter, "*.slb.hcl")
package testdata

import (
	"embed"
	"io/fs"
)

//go:embed quickstart rules https
var files embed.FS

// Names lists the configurations to begin with.
func Names() ([]string, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Starter returns the files of one configuration.
func Starter(name string) (fs.FS, error) { return fs.Sub(files, name) }
