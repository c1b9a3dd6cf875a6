package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionView is the output of version.
type versionView struct {
	Version  string `json:"version"`  // of the module; "(devel)" when built from a working copy
	Revision string `json:"revision"` // the commit, "" if unknown
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (p *program) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the version",
		Example: "  xenoauth version --json",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.act(func(*cobra.Command, []string) error {
		v := buildVersion()
		if *asJSON {
			return p.printJSON(v)
		}
		p.printLine("%s", v)
		return nil
	})
	return cmd
}

// String formats the line that version and --version print.
func (v versionView) String() string {
	return fmt.Sprintf("xenoauth %s %s (%s, %s)", v.Version, v.Revision, v.Go, v.Platform)
}

func buildVersion() versionView {
	v := versionView{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
