package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// passwordInput is the password that a command sets, once the command runs.
type passwordInput struct {
	text      string
	generated bool // the command made it, so its answer must show it
}

// fields adds a generated password to the printed fields.
func (in *passwordInput) fields(fields ...field) []field {
	if in.generated {
		fields = append(fields, field{"password", in.text})
	}
	return fields
}

// passwordFlag adds the ways in which a command takes a password: from a terminal without echo, from standard input, or
// generated. Never from the command line, where other users of the machine and the shell's history would see it.
func (p *program) passwordFlag(cmd *cobra.Command) *passwordInput {
	in := &passwordInput{}
	fromStdin := cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
	cmd.Flags().BoolVar(&in.generated, "generate-password", false, "make a random password and print it once")
	cmd.PreRunE = p.act(func(*cobra.Command, []string) (err error) {
		switch {
		case *fromStdin && in.generated:
			return misuse("--password-stdin and --generate-password exclude each other")
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
		return "", misuse("there is no terminal to ask for the password: add --password-stdin or --generate-password")
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

// readHidden reads a line from a terminal that does not show it.
func (p *program) readHidden(terminal *os.File, prompt string) (string, error) {
	fmt.Fprint(p.stderr, prompt)
	text, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(p.stderr)
	if err != nil {
		return "", fmt.Errorf("read the password from the terminal: %w", err)
	}
	return string(text), nil
}
