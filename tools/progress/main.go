// Command progress runs "go test -json" with its own arguments and shows how far it is: each package as it ends, a line every
// 15 seconds in between, and the output of the tests that failed. It exits as go test does.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

func main() {
	dir := flag.String("dir", ".", "run go test in this directory")
	flag.Parse()
	if err := run(*dir, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const interval = 15 * time.Second

func run(dir string, args []string, out io.Writer) error {
	cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), append([]string{"test", "-json"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	events := make(chan event)
	go read(stdout, events)
	newReport(out).follow(events)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

// event is a line of go test -json (go doc test2json), or a line that is not JSON as the output of no package.
type event struct {
	Action     string
	Package    string
	ImportPath string // of the package that was built
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

func read(r io.Reader, events chan<- event) {
	defer close(events)
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if line != "" && json.Unmarshal([]byte(line), &e) != nil {
			e = event{Action: "build-output", Output: line}
		}
		if line != "" {
			events <- e
		}
		if err != nil {
			return
		}
	}
}

// report holds the results of the packages so far.
type report struct {
	out     io.Writer
	start   time.Time
	ended   int
	running map[string]int               // tests that ended, by package
	output  map[string]map[string]string // by package and test
	failed  []string
}

func newReport(out io.Writer) *report {
	return &report{out: out, start: time.Now(), running: map[string]int{}, output: map[string]map[string]string{}}
}

func (r *report) follow(events <-chan event) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case e, more := <-events:
			if !more {
				r.summary()
				return
			}
			r.take(e)
		case <-tick.C:
			r.progress()
		}
	}
}

func (r *report) take(e event) {
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "start":
		r.running[e.Package] = 0
	case e.Action == "output" && strings.HasPrefix(e.Output, "=== "): // what go test -v prints as tests start and wait
	case e.Action == "output":
		of := r.output[e.Package]
		if of == nil {
			of = map[string]string{}
			r.output[e.Package] = of
		}
		of[e.Test] += e.Output
	case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
		r.end(e)
	case e.Action == "pass" || e.Action == "skip":
		r.running[e.Package]++
		delete(r.output[e.Package], e.Test)
	case e.Action == "fail":
		r.running[e.Package]++
		if r.output[e.Package] != nil {
			r.line("FAIL %s %s", e.Package, e.Test)
		}
	}
}

// end prints how a package ended, and what its failed tests printed.
func (r *report) end(e event) {
	delete(r.running, e.Package)
	r.ended++
	if e.Action == "fail" {
		r.failed = append(r.failed, e.Package)
		tests := r.output[e.Package]
		for _, test := range slices.Sorted(maps.Keys(tests)) {
			fmt.Fprint(r.out, tests[test])
		}
		r.line("FAIL %s (%.0f s)", e.Package, e.Elapsed)
	} else if e.Action == "pass" {
		r.line("ok   %s (%.0f s)", e.Package, e.Elapsed)
	}
	delete(r.output, e.Package)
}

func (r *report) progress() {
	if len(r.running) == 0 {
		r.line("compiling (the first time takes minutes)")
		return
	}
	var parts []string
	for _, p := range slices.Sorted(maps.Keys(r.running)) {
		parts = append(parts, fmt.Sprintf("%s (%d tests done)", strings.TrimPrefix(p, "xenoauth/"), r.running[p]))
	}
	r.line("running %s", strings.Join(parts, ", "))
}

func (r *report) summary() {
	if len(r.failed) > 0 {
		r.line("failed: %s", strings.Join(r.failed, " "))
		return
	}
	r.line("%d packages done", r.ended)
}

func (r *report) line(format string, args ...any) {
	fmt.Fprintf(r.out, "%4.0f s  %s\n", time.Since(r.start).Seconds(), fmt.Sprintf(format, args...))
}
