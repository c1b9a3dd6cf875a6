// Command xenoauth is the server and the operator's tools. It owns the command line and the settings: it reads them, reports all
// invalid ones together, connects the packages and prints their results. It has no rules of its own; those are in
// internal/directory.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes, on which scripts depend.
const (
	exitDone    = 0
	exitRefused = 1 // refused, not found, or the database was unavailable
	exitUsage   = 2 // unknown command, wrong arguments or settings
)

func main() {
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, lookupEnv: os.LookupEnv, environ: os.Environ}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// program is one run of the command line, with its inputs from the process.
type program struct {
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
	lookupEnv func(string) (string, bool)
	environ   func() []string // NAME=value; nil: unknown variables are not checked

	started bool // the arguments were valid and the command runs: a later error is not a usage error
}

// usageError is a usage error that a command itself detected.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usageErrorf(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// run executes one command line and returns the exit code. Cancelling ctx stops a server like a signal.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(p.stderr, "xenoauth: %s\n", explain(cmd, err))
	var usage *usageError
	if p.started && !errors.As(err, &usage) {
		return exitRefused
	}
	fmt.Fprintf(p.stderr, "See \"%s --help\".\n", cmd.CommandPath())
	return exitUsage
}

// root returns the tree of commands.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "xenoauth",
		Short: "Open your platform's API to third-party apps",
		Long: `Xenoauth lets third-party apps ask for access to accounts of your platform: developer
portal, log-in, consent page, token endpoint, installed apps and token verification.

Every setting --a-b can also be given as the environment variable XENOAUTH_A_B, or as a line
"a-b = value" in the file that --config names. Flags take precedence over the environment, and
the environment over the file. Unknown XENOAUTH_ variables and unknown lines are refused.`,
		Example: `  xenoauth demo                      try everything on a temporary database
  xenoauth serve                     start the server on http://localhost:8080
  xenoauth app list                  commands work beside the running server`,
		Args:          noCommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	p.define(root.PersistentFlags(), "config", "database-url", "pooler", "scopes", "token-prefix", "api-plans")
	root.AddCommand(
		p.serveCommand(), p.demoCommand(), p.migrateCommand(), p.userCommand(), p.accountCommand(), p.appCommand(),
		p.resourceCommand(), p.keyCommand(), p.botCommand(), p.tokenCommand(), p.doctorCommand(), p.healthCommand(), p.versionCommand(),
	)
	root.Version = buildVersion().String()
	root.SetVersionTemplate("{{.Version}}\n")
	p.complete(root)
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultHelpFlag()
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		asGroup(completion)
	}
	return root
}

// asGroup makes a command that only groups others refuse anything else. By default, cobra answers a misspelt command with the help
// text and exit code 0.
func asGroup(group *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	group.AddCommand(commands...)
	group.Args = noCommand
	group.RunE = func(cmd *cobra.Command, _ []string) error {
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		return usageErrorf("%s needs a command: %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
	return group
}

// noCommand refuses the arguments of a group and suggests commands with a similar spelling.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += fmt.Sprintf(" (did you mean %s?)", strings.Join(near, ", "))
	}
	return usageErrorf("%s", message)
}

// arguments requires one argument for each name.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usageErrorf("%s: the argument %s is missing", cmd.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return usageErrorf("%s: unexpected argument %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// helpCommand is cobra's help command, but fails for a command that does not exist.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usageErrorf("there is no command %q", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	}
}

// act marks the start of the command itself; see program.started.
func (p *program) act(run func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.started = true
		return run(cmd, args)
	}
}
