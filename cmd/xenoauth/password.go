package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// passwordInput returns the password that a command sets, once the command runs.
type passwordInput struct {
	text      string
	generated bool // the command generated it, so its output must show it
}

// fields adds a generated password to the printed fields.
func (in *passwordInput) fields(fields ...field) []field {
	if in.generated {
		fields = append(fields, field{"password", in.text})
	}
	return fields
}

// passwordFlag adds the ways to give a command a password: from a terminal without echo, from standard input, or generated. It is
// never an argument, which other users of the machine and the shell's history could read.
func (p *program) passwordFlag(cmd *cobra.Command) *passwordInput {
	in := &passwordInput{}
	fromStdin := cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
	cmd.Flags().BoolVar(&in.generated, "generate-password", false, "make a random password and print it once")
	cmd.PreRunE = p.act(func(*cobra.Command, []string) (err error) {
		switch {
		case *fromStdin && in.generated:
			return usageErrorf("--password-stdin and --generate-password cannot be combined")
		case in.generated:
			in.text = rand.Text()
			return nil
		case *fromStdin:
			in.text, err = p.readLine("password")
			return err
		}
		in.text, err = p.promptPassword()
		return err
	})
	return in
}

// promptPassword asks for a new password on the terminal, twice and without echo.
func (p *program) promptPassword() (string, error) {
	file, ok := p.stdin.(*os.File)
	if !ok || !isTerminal(file) {
		return "", usageErrorf("no terminal to prompt for the password: add --password-stdin or --generate-password")
	}
	first, err := p.readHidden(file, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := p.readHidden(file, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

// readHidden reads a line from a terminal without echo.
func (p *program) readHidden(terminal *os.File, prompt string) (string, error) {
	fmt.Fprint(p.stderr, prompt)
	text, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(p.stderr)
	if err != nil {
		return "", fmt.Errorf("read the password from the terminal: %w", err)
	}
	return string(text), nil
}
