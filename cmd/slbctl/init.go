package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"slbctl/runtime/durable"
	"slbctl/testdata"
)

// initCmd writes one of the configurations that tests run, too.
type initCmd struct {
	Name string `arg:"" optional:"" default:"quickstart" help:"Which one: quickstart, the tutorial, unless it is given; rules, domains and URLs; or https."`
}

func (c *initCmd) Run(s *session) error {
	names, err := testdata.Names()
	if err != nil {
		return err
	}
	if !slices.Contains(names, c.Name) {
		return fmt.Errorf("there is no configuration %q%s", c.Name, didYouMean(c.Name, names))
	}
	starter, err := testdata.Starter(c.Name)
	if err != nil {
		return err
	}
	files, err := fs.Glob(starter, "*")
	if err != nil {
		return err
	}
	left, err := missing(starter, files)
	if err != nil {
		return err
	}
	for _, name := range left {
		data, err := fs.ReadFile(starter, name)
		if err != nil {
			return err
		}
		if err := errors.Join(durable.RemoveTemps(durable.OS, name), durable.WriteFile(durable.OS, name, data, 0o644)); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(s.stdout, "wrote "+name); err != nil {
			return err
		}
	}
	fare := ""
	if slices.Contains(files, "simulation.slb.hcl") {
		fare = " `slbctl sim` how it would fare,"
	}
	s.note("\n`slbctl plan` shows what it would build,%s `slbctl apply` builds it.", fare)
	return nil
}

// missing lists the files that are not there yet. A folder whose files would mix with the new
// ones is refused; one that has some of them as they are is finished, since an init that was
// killed, or met a full disk, has left it.
func missing(starter fs.FS, files []string) (names []string, err error) {
	mixed, err := configurationFiles()
	if err != nil {
		return nil, err
	}
	there := ""
	for _, name := range files {
		data, err := os.ReadFile(name)
		want, wantErr := fs.ReadFile(starter, name)
		switch {
		case wantErr != nil:
			return nil, wantErr
		case errors.Is(err, fs.ErrNotExist):
			names = append(names, name)
			continue
		case err == nil && bytes.Equal(data, want):
			mixed = slices.DeleteFunc(mixed, func(other string) bool { return other == name })
		default:
			there = name
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("this folder has a configuration already: nothing was written")
	case len(mixed) > 0:
		return nil, fmt.Errorf("this folder has a configuration already (%s): nothing was written", strings.Join(mixed, ", "))
	case there != "":
		return nil, fmt.Errorf("%s is there already: nothing was written", there)
	}
	return names, nil
}
