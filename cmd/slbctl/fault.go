package main

import (
	"fmt"
	"time"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// faultCmd makes an instance misbehave, as an accident would.
type faultCmd struct {
	Address string        `arg:"" name:"addr" help:"The instance's address, such as instance.ECS01."`
	Mode    string        `arg:"" help:"hang, refuse, delay=TIME, error_rate=SHARE, status=CODE, slow_body=TIME, several with commas; or none."`
	For     patienceValue `default:"0s" placeholder:"TIME" help:"Take it back after so long."`
}

func (c *faultCmd) Run(s *session) error {
	var fault *spec.InstanceFault
	if c.Mode != "none" {
		var err error
		if fault, err = spec.ParseFault(c.Mode); err != nil {
			return err
		}
	}
	client, err := control.Dial(workingFolder)
	if err != nil {
		return err
	}
	if err := client.SetFault(s.ctx, c.Address, fault, time.Duration(c.For)); err != nil {
		return err
	}
	switch {
	case fault == nil:
		_, err = fmt.Fprintf(s.stdout, "%s has only the faults of its configuration.\n", c.Address)
	case c.For > 0:
		_, err = fmt.Fprintf(s.stdout, "%s: %s, for %s.\n", c.Address, fault, time.Duration(c.For))
	default:
		_, err = fmt.Fprintf(s.stdout, "%s: %s, until `slbctl fault %s none`.\n", c.Address, fault, c.Address)
	}
	return err
}
