// Command slbctl describes, foresees, proves and runs a load balancer:
//
//	slbctl init      # the tutorial's configuration, into an empty folder
//	slbctl plan      # what would change, and what that does to traffic
//	slbctl apply     # make it so
//	slbctl status    # who serves, how well, how much
//	slbctl sim       # replay traffic on the code that balances
//	slbctl destroy   # release everything
//
// This package parses the command line, calls and renders. What a configuration
// means is decided in spec, planner, sim and runtime.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

func main() { os.Exit(int(run(os.Args[1:]))) }

// run is one command line, and the only place that turns an error into text and
// an exit code.
func run(args []string) exitCode {
	ctx, stop := interruptible()
	defer stop()
	s := newSession(ctx)
	err := s.execute(args)
	if err == nil {
		return exitOK
	}
	s.explain(err)
	return codeOf(err)
}

// execute parses one command line and runs its command.
func (s *session) execute(args []string) error {
	parser, grammar, err := newParser(s)
	if err != nil {
		return err
	}
	args, err = commandLine(parser.Model.Node, args, os.Environ())
	if err != nil {
		return &usageError{detail: err.Error()}
	}
	if len(args) == 0 {
		return errors.Join(writeHelp(s.stderr, parser.Model.Node), outcome(exitUsage))
	}
	parsed, err := parser.Parse(args)
	if errors.Is(err, errHelpShown) {
		return nil
	}
	if err != nil {
		return newUsageError(err)
	}
	s.adopt(grammar, strings.Fields(parsed.Command())[0])
	if grammar.Chdir != "" {
		if err := os.Chdir(grammar.Chdir); err != nil {
			return fmt.Errorf("-chdir: %w", err)
		}
	}
	return parsed.Run(s)
}

// errHelpShown ends the parse of a command line that asked for help.
var errHelpShown = errors.New("help was shown")

// newUsageError says what kong refused in the spelling that the help uses.
func newUsageError(err error) *usageError {
	u := &usageError{detail: strings.ReplaceAll(err.Error(), "--", "-")}
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil {
		u.command = parse.Context.Selected().Path()
	}
	return u
}

// interruptible returns a context that the first SIGINT or SIGTERM cancels; the
// second ends the process at once. Neither loses anything: what is under way is
// on disk, and the next command finishes the record.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := onInterrupt(func() { cancel(errInterrupted) }, func() { os.Exit(int(exitInterrupted)) })
	return ctx, func() { stop(); cancel(nil) }
}
