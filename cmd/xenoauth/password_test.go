package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"xenoauth/internal/dbtest"
)

// TestPasswordPrompt: on a terminal, the password is prompted for twice without echo; if the two differ, nothing changes.
func TestPasswordPrompt(t *testing.T) {
	t.Parallel()
	l := on(dbtest.SQLite(t))
	l.ok(t, nil, "migrate", "up")
	const password = "correct horse battery"
	for _, c := range []struct {
		email, first, second string
		code                 int
	}{
		{"differ@example.org", password, password + "x", exitRefused},
		{"ada@example.org", password, password, exitDone},
	} {
		code, shown := l.onTerminal(t, []string{c.first, c.second}, "user", "add", c.email)
		if code != c.code || bytes.Contains(shown, []byte(password)) {
			t.Errorf("add %s: exit %d, want %d; the terminal shows %q", c.email, code, c.code, shown)
		}
	}
	var users []struct{ Email string }
	if l.ok(t, &users, "user", "list"); len(users) != 1 || users[0].Email != "ada@example.org" {
		t.Errorf("users after two prompts: %+v", users)
	}
}

// TestGeneratedPassword: a generated password is printed once and is valid, and excludes one from standard input.
func TestGeneratedPassword(t *testing.T) {
	t.Parallel()
	l := on(dbtest.SQLite(t))
	l.ok(t, nil, "migrate", "up")
	var added, set struct{ ID, Password string }
	l.ok(t, &added, "user", "add", "ada@example.org", "--generate-password")
	l.ok(t, &set, "user", "set-password", "ada@example.org", "--generate-password")
	if len(added.Password) < 20 || len(set.Password) < 20 || added.Password == set.Password || added.ID != set.ID {
		t.Errorf("added %+v, set %+v", added, set)
	}
	l.fails(t, exitUsage, "cannot be combined", "user", "add", "bob@example.org", "--generate-password", "--password-stdin")
}

// onTerminal runs the program with a terminal as standard input and types each line when it is prompted for. It returns the output of
// the terminal.
func (l line) onTerminal(t *testing.T, lines []string, args ...string) (code int, shown []byte) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	asked, prompts := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		p := &program{stdin: terminal, stdout: terminal, stderr: prompts, lookupEnv: func(name string) (string, bool) { v, ok := l.env[name]; return v, ok }}
		code := p.run(t.Context(), args)
		prompts.Close()
		terminal.Close() // the last open end, so that the reader gets an end of file
		ended <- code
	}()
	go func() {
		text := make([]byte, 256)
		for typed := 0; ; {
			n, err := asked.Read(text)
			if err != nil {
				return
			}
			if bytes.HasSuffix(text[:n], []byte(": ")) && typed < len(lines) {
				// The prompt is written before echo is turned off.
				for echoes(terminal) {
				}
				fmt.Fprintln(master, lines[typed])
				typed++
			}
		}
	}()
	code = <-ended
	shown, _ = io.ReadAll(master) // ends with EIO when the terminal is closed
	return code, shown
}

// echoes reports whether a terminal shows typed characters.
func echoes(terminal *os.File) bool {
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	return err == nil && state.Lflag&unix.ECHO != 0
}
