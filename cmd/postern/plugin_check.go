package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/plugins/trial"
	"github.com/postern-gateway/postern/proxy/config"
)

func newPluginCheck(s *streams) *cobra.Command {
	var t target
	var format, request string
	c := &cobra.Command{
		Use:   "check [PLUGIN]",
		Short: "Try what a gateway can do to a plugin, and report",
		Long: "Try what a gateway can do to a plugin, in each of its roles: an ordinary request, the\n" +
			"same again, odd ones (no headers, huge ones, bytes that aren't UTF-8, broken JSON, …),\n" +
			"many at once, a trap in each call of the gateway, and the tightest limits of memory and\n" +
			"time. The ordinary request is GET / unless a case file has another one. Grades: ok; note,\n" +
			"worth knowing; weak, requests fail that needn't; bad, don't use it: the exit code is 5.",
		Example: "  postern plugin check guard.wasm --set config.token=sesame\n" +
			"  postern plugin check guard --request tests/known.txtar --format json",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			var ordinary *trial.Case
			plugin := strings.Join(args, "")
			if request != "" {
				text, err := os.ReadFile(request)
				if err != nil {
					return &failure{exitFailed, err}
				}
				if ordinary, err = trial.ParseCase(request, text); err != nil {
					return &failure{exitInvalid, err}
				}
				if plugin == "" {
					plugin = ordinary.Plugin
				}
			}
			cfg, name, err := t.find(plugin)
			if err != nil {
				return err
			}
			return checkPlugin(c.Context(), s, cfg, name, ordinary, format)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&format, "format", "text", "text or json")
	c.Flags().StringVar(&request, "request", "", "a case `file` with the ordinary request")
	return c
}

func checkPlugin(ctx context.Context, s *streams, cfg *config.Config, name string, ordinary *trial.Case, format string) error {
	cache, artifacts := folders(cfg)
	report, findings, err := trial.Check(ctx, cfg, name, ordinary, trial.Options{CacheDir: cache, ArtifactDir: artifacts, Seed: seed()})
	if findings.Failed() {
		return invalidFindings(findings)
	}
	if err != nil {
		return &failure{exitFailed, err}
	}
	if format == "json" {
		err = s.printJSON(report)
	} else {
		_, werr := fmt.Fprint(s.out, describeReport(report))
		err = wrote(werr)
	}
	if err == nil && report.Failed() {
		return &failure{exitTests, errors.New("the plugin isn't fit to be used")}
	}
	return err
}

// describeReport is a report for people.
func describeReport(r *trial.Report) string {
	var b strings.Builder
	for _, c := range r.Results {
		what := c.Check
		if c.Role != "" {
			what = c.Role + ": " + c.Check
		}
		fmt.Fprintf(&b, "%-4s  %-32s %s\n", c.Grade, what, strings.ReplaceAll(c.Text, "\n", "\n        "))
	}
	return b.String()
}
