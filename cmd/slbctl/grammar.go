package main

import "github.com/alecthomas/kong"

// grammar is the command line. Help of a command beyond its first line, and its
// examples, are in help.go.
type grammar struct {
	Chdir   string `placeholder:"DIR" help:"Work in another folder. Stands before the command."`
	Input   bool   `default:"true" help:"Ask nothing: a command that would have to ask fails at once."`
	NoColor bool   `help:"No colours, as with NO_COLOR in the environment."`
	State   string `placeholder:"FILE" help:"Keep the state in FILE instead of slbctl.state.json."`

	Init     initCmd     `cmd:"" group:"main" help:"Write a configuration to begin with."`
	Validate validateCmd `cmd:"" group:"main" help:"Report every mistake in the configuration."`
	Plan     planCmd     `cmd:"" group:"main" help:"Show what would change, and what that does to traffic."`
	Apply    applyCmd    `cmd:"" group:"main" help:"Make it so."`
	Destroy  destroyCmd  `cmd:"" group:"main" help:"Release everything, or what is named."`
	Rollback rollbackCmd `cmd:"" group:"main" help:"Go back to what was applied before."`

	Status  statusCmd  `cmd:"" group:"look" help:"Show listeners, servers and their health."`
	Explain explainCmd `cmd:"" group:"look" help:"Tell why a request goes where it goes."`
	Show    showCmd    `cmd:"" group:"look" help:"Show the state or a saved plan."`
	Output  outputCmd  `cmd:"" group:"look" help:"Print the configuration's outputs."`

	Sim  simCmd  `cmd:"" group:"try" help:"Replay traffic in virtual time and check expectations."`
	Test testCmd `cmd:"" group:"try" help:"Run the configuration's test blocks."`

	Fmt      fmtCmd      `cmd:"" group:"manage" help:"Rewrite files in the canonical style."`
	Recorded stateCmd    `cmd:"" name:"state" group:"manage" help:"Look into the recorded state, or mend it."`
	Drain    drainCmd    `cmd:"" group:"manage" help:"Take a server out softly."`
	Undrain  undrainCmd  `cmd:"" group:"manage" help:"Let a server that was drained back in."`
	Instance instanceCmd `cmd:"" group:"manage" help:"Stop or start an instance, as an accident would."`
	Fault    faultCmd    `cmd:"" group:"manage" help:"Make an instance misbehave, as an accident would."`
	Runtime  runtimeCmd  `cmd:"" group:"manage" help:"Start, stop or watch the daemon."`
	CA       caCmd       `cmd:"" name:"ca" group:"manage" help:"Print, trust or distrust the local CA's root."`
	Schema   schemaCmd   `cmd:"" group:"manage" help:"Print the JSON Schema of the language."`
	Version  versionCmd  `cmd:"" group:"manage" help:"Print the version."`
}

// variableFlags set the configuration's variables.
type variableFlags struct {
	Var     []assignment `sep:"none" placeholder:"NAME=VALUE" help:"Set a variable. May be repeated."`
	VarFile []string     `sep:"none" placeholder:"FILE" help:"Set variables from a file. May be repeated."`
}

// planFlags say what to plan; plan and apply have them in common.
type planFlags struct {
	Destroy     bool          `help:"Plan to release everything."`
	Target      []string      `sep:"none" placeholder:"ADDR" help:"Plan only this and what it needs. May be repeated."`
	Replace     []string      `sep:"none" placeholder:"ADDR" help:"Make this anew. May be repeated."`
	Refresh     bool          `default:"true" help:"Do not look at what runs, only at what is recorded."`
	RefreshOnly bool          `help:"Only record what was changed by hand, and change nothing that runs."`
	Traffic     bool          `default:"true" help:"Leave the effect on traffic out."`
	LockTimeout patienceValue `default:"0s" placeholder:"TIME" help:"Wait so long for another process that holds the state."`

	IgnoreExpectations bool `help:"Do not insist on the expectations of load balancers."`
	variableFlags
}

// newParser builds the parser. Help goes to the session's output.
func newParser(s *session) (*kong.Kong, *grammar, error) {
	g := &grammar{}
	k, err := kong.New(g,
		kong.Name("slbctl"),
		kong.Description("A load balancer that you describe, foresee, prove and run."),
		kong.Writers(s.stdout, s.stderr),
		kong.Help(func(_ kong.HelpOptions, ctx *kong.Context) error {
			node := ctx.Selected()
			if node == nil {
				node = ctx.Model.Node
			}
			if err := writeHelp(s.stdout, node); err != nil {
				return err
			}
			return errHelpShown
		}),
	)
	return k, g, err
}
