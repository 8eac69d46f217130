package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"slbctl/runtime"
	"slbctl/runtime/control"
)

// logVariable sets how much the daemon writes into its log.
const logVariable = "SLBCTL_LOG"

// runtimeCmd is about the daemon. apply starts it by itself.
type runtimeCmd struct {
	Start     runtimeStartCmd     `cmd:"" help:"Start the daemon with what was applied last."`
	Stop      runtimeStopCmd      `cmd:"" help:"Stop the daemon and all that it runs."`
	Run       runtimeRunCmd       `cmd:"" help:"Be the daemon, in the foreground (for systemd and the like)."`
	Status    runtimeStatusCmd    `cmd:"" help:"Tell whether the daemon runs."`
	Upgrade   runtimeUpgradeCmd   `cmd:"" help:"Have this program take over from the daemon, without losing a connection."`
	Instances runtimeInstancesCmd `cmd:"" hidden:"" help:"Be the process that holds the instances."`
}

type runtimeStartCmd struct{}

func (c *runtimeStartCmd) Run(s *session) error {
	if _, warning, err := committed(); err == nil && warning != "" {
		s.note("Warning: %s.", warning)
	}
	client, err := (&daemon{}).start(s.ctx)
	if err != nil {
		return err
	}
	status, err := client.Status(s.ctx)
	if err != nil {
		return err
	}
	return s.describe(status.Runtime)
}

type runtimeStopCmd struct{}

func (c *runtimeStopCmd) Run(s *session) error {
	_, err := control.Dial(workingFolder)
	was := err == nil
	var orphans []string
	if !was {
		if orphans, err = runtime.Orphans(s.ctx, workingFolder); err != nil {
			return err
		}
	}
	if err := runtime.Stop(s.ctx, workingFolder); err != nil {
		return err
	}
	text := "The runtime was not running."
	switch {
	case was:
		text = "The runtime has stopped. `slbctl runtime start` brings back what was applied."
	case len(orphans) > 0:
		text = fmt.Sprintf("The runtime was not running; %s that it left behind stopped.", count(int64(len(orphans)), "instance"))
	}
	_, err = fmt.Fprintln(s.stdout, text)
	return err
}

type runtimeUpgradeCmd struct{}

func (c *runtimeUpgradeCmd) Run(s *session) error {
	client, err := runtime.Reach(s.ctx, workingFolder)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("runtime: find this program's file: %w", err)
	}
	if err := client.Upgrade(s.ctx, exe); err != nil {
		return err
	}
	if client, err = runtime.Reach(s.ctx, workingFolder); err != nil {
		return err
	}
	status, err := client.Status(s.ctx)
	if err != nil {
		return err
	}
	return s.describe(status.Runtime)
}

type runtimeRunCmd struct{}

func (c *runtimeRunCmd) Run(s *session) error {
	log, err := newLog(os.Stderr, os.Getenv(logVariable))
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("runtime: find this program's file: %w", err)
	}
	if _, warning, err := committed(); err == nil && warning != "" {
		log.Warn(warning)
	}
	return runtime.Run(s.ctx, workingFolder, runtime.Options{
		Log: log, Executable: exe, Version: version, Foreground: !runtime.Detached(), Ready: runtime.Ready,
	})
}

// newLog logs as text, from the level on that is asked for.
func newLog(f *os.File, level string) (*slog.Logger, error) {
	var l slog.Level
	if level != "" {
		if err := l.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("%s=%q is not one of debug, info, warn, error", logVariable, level)
		}
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: l})), nil
}

type runtimeInstancesCmd struct{}

func (c *runtimeInstancesCmd) Run(s *session) error {
	return runtime.RunInstances(s.ctx, workingFolder)
}

type runtimeStatusCmd struct {
	JSON bool `name:"json" help:"Print one JSON document."`
}

func (c *runtimeStatusCmd) Run(s *session) error {
	client, err := control.Dial(workingFolder)
	if errors.Is(err, control.ErrNotRunning) && !c.JSON {
		_, err := fmt.Fprintln(s.stdout, "The runtime is not running.")
		return errors.Join(err, outcome(exitError))
	}
	if err != nil {
		return err
	}
	status, err := client.Status(s.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.stdout, struct {
			FormatVersion string          `json:"format_version"`
			Runtime       control.Runtime `json:"runtime"`
		}{status.FormatVersion, status.Runtime})
	}
	return s.describe(status.Runtime)
}

// describe is one line about the daemon.
func (s *session) describe(r control.Runtime) error {
	up := time.Duration(r.UptimeSeconds * float64(time.Second)).Round(time.Second)
	_, err := fmt.Fprintf(s.stdout, "The runtime runs: pid %d, generation %d, %d loops, up %s.\n", r.PID, r.Generation, r.Loops, up)
	return err
}
