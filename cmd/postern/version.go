package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/config"
)

// build is what `version --json` prints.
type build struct {
	Version      string            `json:"version"`
	Commit       string            `json:"commit,omitempty"`
	CommitTime   string            `json:"commit_time,omitempty"`
	Modified     bool              `json:"modified,omitempty"` // built from a changed working copy
	Go           string            `json:"go"`
	Platform     string            `json:"platform"`
	Dependencies map[string]string `json:"dependencies"`
}

// readBuild asks the running program what it was built from.
func readBuild() build {
	b := build{
		Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Dependencies: map[string]string{},
	}
	built, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if built.Main.Version != "" {
		b.Version = built.Main.Version
	}
	for _, d := range built.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		b.Dependencies[d.Path] = d.Version
	}
	for _, s := range built.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.CommitTime = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func newVersion(s *streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if !asJSON {
				_, err := fmt.Fprintf(s.out, "postern %s %s %s\n", b.Version, b.Go, b.Platform)
				return wrote(err)
			}
			text, err := json.MarshalIndent(b, "", "  ")
			if err != nil {
				return &failure{exitFailed, err}
			}
			_, err = fmt.Fprintf(s.out, "%s\n", text)
			return wrote(err)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON, with commit and dependencies")
	return c
}

func newSchema(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration",
		Long: "Print the JSON Schema of the configuration. Editors use it when the file's first\n" +
			"line names it:\n\n  postern schema > postern.schema.json\n  #:schema ./postern.schema.json",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := config.Schema()
			if err != nil {
				return &failure{exitFailed, err}
			}
			_, err = s.out.Write(text)
			return wrote(err)
		},
	}
}

// wrote makes an error of the output, a full disk for one, a failure.
func wrote(err error) error {
	if err != nil {
		return &failure{exitFailed, err}
	}
	return nil
}
