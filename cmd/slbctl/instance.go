package main

import (
	"fmt"

	"slbctl/runtime/control"
)

// instanceCmd does to an instance what an operator or an accident would do.
type instanceCmd struct {
	Stop  instanceStopCmd  `cmd:"" help:"Stop an instance: it refuses connections until it is started."`
	Start instanceStartCmd `cmd:"" help:"Start an instance that was stopped."`
}

type instanceStopCmd struct {
	Address string `arg:"" name:"addr" help:"The instance's address, such as instance.ECS01."`
}

func (c *instanceStopCmd) Run(s *session) error {
	client, err := control.Dial(workingFolder)
	if err != nil {
		return err
	}
	if err := client.StopInstance(s.ctx, c.Address); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.stdout, "%s is stopped. The next plan shows that, and the next apply starts it.\n", c.Address)
	return err
}

type instanceStartCmd struct {
	Address string `arg:"" name:"addr" help:"The instance's address, such as instance.ECS01."`
}

func (c *instanceStartCmd) Run(s *session) error {
	client, err := control.Dial(workingFolder)
	if err != nil {
		return err
	}
	if err := client.StartInstance(s.ctx, c.Address); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.stdout, "%s is running.\n", c.Address)
	return err
}
