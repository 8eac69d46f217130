package main

import "slbctl/spec"

// schemaCmd prints what editors complete and check *.slb.json files with.
type schemaCmd struct{}

func (schemaCmd) Run(s *session) error {
	_, err := s.stdout.Write(spec.JSONSchema())
	return err
}
