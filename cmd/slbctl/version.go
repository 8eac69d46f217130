package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"slbctl/planner"
)

// version is that of the program; formats have versions of their own.
const version = "0.1.0"

// versionCmd prints what this program is.
type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c *versionCmd) Run(s *session) error {
	platform := runtime.GOOS + "_" + runtime.GOARCH
	if c.JSON {
		return writeJSON(s.stdout, struct {
			FormatVersion string `json:"format_version"`
			Go            string `json:"go"`
			Platform      string `json:"platform"`
			Revision      string `json:"revision"`
			Version       string `json:"version"`
		}{planner.FormatVersion, runtime.Version(), platform, revision(), version})
	}
	text := fmt.Sprintf("slbctl v%s on %s, built with %s", version, platform, runtime.Version())
	if r := revision(); r != "" {
		text += " from " + r
	}
	_, err := fmt.Fprintln(s.stdout, text)
	return err
}

// revision is the source's, when the build knows it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return ""
}
