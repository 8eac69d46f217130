package main

import (
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
	if err := nothingThere(files); err != nil {
		return err
	}
	for _, name := range files {
		data, err := fs.ReadFile(starter, name)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(durable.OS, name, data, 0o644); err != nil {
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

// nothingThere refuses a folder whose files would mix with the new ones.
func nothingThere(files []string) error {
	names, err := configurationFiles()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return fmt.Errorf("this folder has a configuration already (%s): nothing was written", strings.Join(names, ", "))
	}
	for _, name := range files {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: nothing was written", name)
		}
	}
	return nil
}
