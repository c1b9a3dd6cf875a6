package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"xenoauth/internal/dbtest"
)

// TestMain lets a test run this binary as the program, to send it signals.
func TestMain(m *testing.M) {
	if os.Getenv("XENOAUTH_TEST_PROGRAM") == "1" {
		_ = os.Unsetenv("XENOAUTH_TEST_PROGRAM") // the program would refuse it as an unknown setting
		main()
		return
	}
	os.Exit(m.Run())
}

// result is the output and exit code of a command.
type result struct {
	code           int
	stdout, stderr string
}

// line is a command line with its environment.
type line struct {
	env   map[string]string
	stdin string
}

// run runs the program in this process.
func (l line) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &program{
		stdin: strings.NewReader(l.stdin), stdout: &stdout, stderr: &stderr,
		lookupEnv: func(name string) (string, bool) { v, ok := l.env[name]; return v, ok }, environ: l.environ,
	}
	code := p.run(t.Context(), args)
	return result{code, stdout.String(), stderr.String()}
}

// environ returns the environment in the form of os.Environ.
func (l line) environ() []string {
	entries := []string{"PATH=/bin"}
	for name, value := range l.env {
		entries = append(entries, name+"="+value)
	}
	return entries
}

// on returns a command line for a database.
func on(database string) line {
	return line{env: map[string]string{"XENOAUTH_DATABASE_URL": database}}
}

func (l line) with(stdin string) line { l.stdin = stdin; return l }

// ok runs a command that must succeed, and decodes its JSON into answer if that is not nil.
func (l line) ok(t *testing.T, answer any, args ...string) result {
	t.Helper()
	if answer != nil {
		args = append(args, "--json")
	}
	r := l.run(t, args...)
	if r.code != exitDone {
		t.Fatalf("xenoauth %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	if answer != nil {
		if err := json.Unmarshal([]byte(r.stdout), answer); err != nil {
			t.Fatalf("xenoauth %s: %v in\n%s", strings.Join(args, " "), err, r.stdout)
		}
	}
	return r
}

// fails runs a command and asserts its exit code and its message.
func (l line) fails(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	r := l.run(t, args...)
	if r.code != code || !strings.Contains(r.stderr, want) {
		t.Errorf("xenoauth %s: exit %d, want %d; says\n%swant it to say %q", strings.Join(args, " "), r.code, code, r.stderr, want)
	}
}

// TestWrongUsage: usage errors are reported before the database is opened. There is none in this test.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	database := "sqlite:" + filepath.Join(t.TempDir(), "none.db")
	for _, c := range []struct {
		name string
		args string
		want string
	}{
		{"unknown command", "srve", `unknown command "srve" for "xenoauth" (did you mean serve?)`},
		{"unknown command of a group", "app ad", `unknown command "ad" for "xenoauth app"`},
		{"group alone", "app", "xenoauth app needs a command: add"},
		{"migrate alone", "migrate", "needs a command: status, up"},
		{"unknown flag", "serve --lisen x", "unknown flag: --lisen"},
		{"flag without value", "serve --listen", "flag needs an argument"},
		{"extra argument", "serve now", `unexpected argument "now"`},
		{"extra argument of list", "user list all", "unexpected argument"},
		{"extra argument of version", "version 2", "unexpected argument"},
		{"missing argument", "user show", "the argument EMAIL_OR_ID is missing"},
		{"missing second argument", "account set-plan ada@example.org", "the argument PLAN is missing"},
		{"missing role", "account set-role a@b c@d", "the argument ROLE is missing"},
		{"too many for add-member", "account add-member a@b c@d agent x", "unexpected argument"},
		{"token on the command line", "token inspect xnoa_abc", "standard input"},
		{"token without dash", "token revoke", "standard input"},
		{"help of nothing", "help frobnicate", `there is no command "frobnicate"`},
		{"completion of nothing", "completion tcsh", "unknown command"},
		{"completion alone", "completion", "needs a command"},
		{"bad value of a switch", "demo --check=perhaps", "invalid argument"},
		{"password on the command line", "user add ada@example.org --password secret", "unknown flag: --password"},
		{"no password", "user add ada@example.org", "--password-stdin"},
		{"no new password", "user set-password ada@example.org", "--password-stdin"},
		{"empty password", "user set-password ada@example.org --password-stdin", "standard input is empty"},
		{"plan that is none", "account set-plan ada@example.org gold", `invalid plan "gold" (want standard or free)`},
		{"plan beside a bad setting", "account set-plan ada@example.org gold --api-plans free", "cannot include the API"},
		{"role that is none", "account set-role a@b c@d boss", `"boss": unknown role`},
		{"role of a new member", "account add-member a@b c@d boss", `"boss": unknown role`},
		{"app without anything", "app add X", "--owner and --redirect-uri are missing"},
		{"app without owner", "app add X --redirect-uri https://w.example/cb", "--owner is missing"},
		{"app without address", "app add X --owner ada@example.org", "--redirect-uri is missing"},
		{"edit of nothing", "app edit app_x", "give at least one of --name, --description"},
		{"edit that is neither", "app edit app_x --expiring=perhaps", "invalid argument"},
		{"edit by an unknown flag", "app edit app_x --owner ada@example.org", "unknown flag: --owner"},
		{"end of an app's secret", "app rotate-secret app_x --old-until junk", `--old-until "junk" is not keep, now or`},
		{"secret instead of its id", "app revoke-secret app_x xnos_abc", `"xenoauth app show app_x" lists them`},
		{"revoke without a secret id", "resource revoke-secret rs_x", "the argument SECRET_ID is missing"},
		{"end of a resource server's secret", "resource rotate-secret rs_x --old-until -1h", `--old-until "-1h" is not keep, now or`},
		{"end of a key", "key rotate key_x --old-until keep", `--old-until "keep" is not now or`},
		{"end of a bot's secret", "bot rotate bot_x --old-until soon", `--old-until "soon" is not now or`},
		{"key without account", "key add X", "--account"},
		{"key with a role that is none", "key add X --account a@b --scope agent,boss", `--scope "boss": unknown role`},
		{"key without a role", "key add X --account a@b --scope=", "at least one scope"},
		{"user of a key without scope", "key add X --account a@b --user c@d", "--user goes with --scope"},
		{"bot without account", "bot add X", "--account"},
		{"no token to inspect", "token inspect -", "standard input is empty"},
		{"no token to revoke", "token revoke -", "standard input is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := on(database).run(t, strings.Fields(c.args)...)
			if r.code != exitUsage || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
				t.Errorf("exit %d, stdout %q, stderr %q; want exit 2 and %q", r.code, r.stdout, r.stderr, c.want)
			}
		})
	}
}

// TestHelp: every command has a description and an example, and --help succeeds.
func TestHelp(t *testing.T) {
	t.Parallel()
	p := &program{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, lookupEnv: os.LookupEnv}
	leaves := 0
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Name() == "completion" || cmd.Name() == "help" {
			return
		}
		path := strings.Fields(cmd.CommandPath())[1:]
		r := line{}.run(t, append(path, "--help")...)
		if r.code != exitDone || !strings.Contains(r.stdout, "Usage:") {
			t.Errorf("%s --help: exit %d, %q", cmd.CommandPath(), r.code, r.stdout)
		}
		if cmd.Short == "" || cmd.Args == nil || cmd.RunE == nil {
			t.Errorf("%s lacks a short help, its arguments or what it does", cmd.CommandPath())
		}
		if !cmd.HasSubCommands() {
			leaves++
			if !strings.Contains(cmd.Example, cmd.CommandPath()) {
				t.Errorf("%s has no example of itself", cmd.CommandPath())
			}
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(p.root())
	if leaves < 30 {
		t.Errorf("%d commands, want all of them", leaves)
	}
	if r := (line{}).run(t); r.code != exitDone || !strings.Contains(r.stdout, "xenoauth demo") {
		t.Errorf("xenoauth alone: exit %d, %q; want the help", r.code, r.stdout)
	}
	if r := (line{}).run(t, "help", "app", "add"); r.code != exitDone || !strings.Contains(r.stdout, "--redirect-uri") {
		t.Errorf("help app add: exit %d, %q", r.code, r.stdout)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := (line{}).run(t, "completion", shell); r.code != exitDone || !strings.Contains(r.stdout, "xenoauth") {
			t.Errorf("completion %s: exit %d, %d bytes", shell, r.code, len(r.stdout))
		}
	}
}

// TestCompletionWords: arguments and flags are completed from the database, which is neither created nor migrated.
func TestCompletionWords(t *testing.T) {
	t.Parallel()
	l := on(dbtest.SQLite(t))
	l.ok(t, nil, "migrate", "up")
	addUser(t, l, "ada@example.org")
	var app object
	l.ok(t, &app, "app", "add", "Wizard", "--owner", "ada@example.org", "--redirect-uri", "https://w.example/cb")
	var resource object
	l.ok(t, &resource, "resource", "add", "API")
	for args, want := range map[string]string{
		"resource show ":               fmt.Sprint(resource["client_id"]) + "\tAPI",
		"app show ":                    fmt.Sprint(app["id"]) + "\tWizard",
		"user show ad":                 "ada@example.org\t",
		"account show ":                fmt.Sprint(app["account"]),
		"app list --owner ":            fmt.Sprint(app["account"]),
		"account set-plan x ":          "free\n",
		"account set-role x y ":        "agent\n",
		"serve --signup ":              "closed\n",
		"serve --user-token-alg ":      "HS256\n",
		"user show b":                  ":4",
		"app show x ":                  ":4",
		"app verify " + "app_nothing-": ":4",
	} {
		r := l.run(t, append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if r.code != exitDone || !strings.Contains(r.stdout, want) || want == ":4" && r.stdout != ":4\n" {
			t.Errorf("%q completes to\n%swant %q (exit %d)", args, r.stdout, want, r.code)
		}
	}
	path := filepath.Join(t.TempDir(), "none.db")
	if r := on("sqlite:"+path).run(t, "__complete", "app", "show", ""); r.code != exitDone || r.stdout != ":4\n" {
		t.Errorf("without a database: %+v", r)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("completion made a database")
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if flag, command := (line{}).run(t, "--version"), (line{}).run(t, "version"); flag.code != exitDone || flag.stdout != command.stdout || !strings.HasPrefix(flag.stdout, "xenoauth ") {
		t.Errorf("--version: %+v; version: %+v", flag, command)
	}
	var v map[string]string
	line{}.ok(t, &v, "version")
	for _, name := range []string{"version", "revision", "go", "platform"} {
		if _, ok := v[name]; !ok {
			t.Errorf("version --json has no %s: %v", name, v)
		}
	}
}

// TestConfirm: only a terminal is asked, not the null device or a pipe.
func TestConfirm(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	if isTerminal(null) || isTerminal(read) || isTerminal(strings.NewReader("")) {
		t.Error("what is no terminal would be asked")
	}
	p := &program{stdin: null, stderr: &bytes.Buffer{}}
	if err := p.confirm(false, "Sure?"); err != nil {
		t.Errorf("a script is refused: %v", err)
	}
}

// TestRunEndsWithContext: a command that waits for a database ends when its context does.
func TestRunEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &program{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, lookupEnv: func(string) (string, bool) { return "", false }}
	if code := p.run(ctx, []string{"migrate", "up", "--database-url", "postgres://nobody@127.0.0.1:1/none"}); code != exitRefused {
		t.Errorf("exit %d, want %d", code, exitRefused)
	}
}
