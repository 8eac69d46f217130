package main

import (
	"fmt"
	"strings"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// drainCmd takes a server out softly without touching the configuration.
type drainCmd struct {
	Address string `arg:"" name:"addr" help:"An instance, or one backend of a group."`
	Wait    bool   `help:"Stay until the connections to it have ended."`
}

func (c *drainCmd) Run(s *session) error {
	address, err := s.setDrained(c.Address, true)
	if err != nil || !c.Wait {
		return err
	}
	client, err := control.Dial(workingFolder)
	if err != nil {
		return err
	}
	defer s.progress(func() string { return s.openTo(client, address) })()
	if err := client.WaitDrained(s.ctx, address); err != nil {
		if s.ctx.Err() != nil {
			return fmt.Errorf("it stays drained, and its connections end by themselves: %w", errInterrupted)
		}
		return err
	}
	_, err = fmt.Fprintf(s.stdout, "The connections to %s have ended.\n", c.Address)
	return err
}

// openTo counts the connections that are still open to what drains.
func (s *session) openTo(client *control.Client, address string) string {
	name := address
	if _, member, ok := spec.SplitBackend(address); ok {
		name = member
	}
	status, err := client.Status(s.ctx)
	if err != nil {
		return "waiting for the connections to " + name
	}
	open := int64(0)
	for _, d := range status.Draining {
		if d.Address == name || strings.HasPrefix(d.Address, name+":") || strings.HasPrefix(name, d.Address+":") {
			open += d.Connections
		}
	}
	return fmt.Sprintf("%s open to %s", count(open, "connection"), name)
}

// undrainCmd lets a server that was drained back in.
type undrainCmd struct {
	Address string `arg:"" name:"addr" help:"What was drained, as plan lists it."`
}

func (c *undrainCmd) Run(s *session) error {
	_, err := s.setDrained(c.Address, false)
	return err
}

// setDrained returns what was drained, or is not any more, in the one way that it is written down.
func (s *session) setDrained(given string, drained bool) (address string, err error) {
	if address, err = serverAddress(given); err != nil {
		return "", err
	}
	client, err := control.Dial(workingFolder)
	if err != nil {
		return "", err
	}
	result, err := client.SetDrained(s.ctx, address, drained)
	if err != nil {
		return "", err
	}
	if drained && len(result.Unserved) > 0 {
		s.note("Warning: nobody is left to serve %s.", strings.Join(result.Unserved, ", "))
	}
	text := "%s gets its traffic again, as a member of %s.\n"
	if drained {
		text = "%s gets nothing new, as a member of %s, until `slbctl undrain` ends it. Open connections have the time of a drain.\n"
	}
	_, err = fmt.Fprintf(s.stdout, text, address, count(int64(result.Backends), "pool"))
	return address, err
}

// serverAddress is what can be drained in the one way that it is written down.
func serverAddress(given string) (string, error) {
	if group, member, ok := spec.SplitBackend(given); ok {
		return spec.BackendAddress(group, member), nil
	}
	address, kind, err := spec.CanonicalAddress(given)
	if err != nil || kind != "instance" {
		return "", &usageError{command: "drain", detail: fmt.Sprintf("%q is neither an instance, such as instance.ECS01, nor a backend, such as 'load_balancer.SLB1.backend[\"instance.ECS01:80\"]'", given)}
	}
	return address, nil
}
