package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/control"
)

func newCanary(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use: "canary", Short: "Move requests to a stage's canary, and from it",
		Long: "Move requests to a stage's canary, and from it. [api.NAME.stage.NAME.canary] in the\n" +
			"configuration makes one; \"postern deploy\" deploys to it, \"postern promote\" has the whole\n" +
			"stage serve what it does.",
	}
	c.AddCommand(newCanaryShare(s), newCanaryDisable(s))
	return c
}

func newCanaryShare(s *streams) *cobra.Command {
	var o deployOptions
	percent := ""
	c := o.command("share API", "Have another share of a stage's requests go to its canary",
		"Have another share of a stage's requests go to its canary, from the next request on.\n"+
			"It counts until something is deployed to the canary, or the configuration says\n"+
			"another one than now.",
		func(c *cobra.Command, args []string) error {
			n, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
			if err != nil {
				return &failure{exitUsage, fmt.Errorf("--percent %q isn't a number from 0 to 100", percent)}
			}
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				out, err := d.SetShare(c.Context(), args[0], o.stage, n, whoAsks())
				if err != nil {
					return err
				}
				return o.shared(s, out)
			})
		})
	c.Flags().StringVar(&percent, "percent", "", "`share` of the requests, 0 to 100; needed")
	_ = c.MarkFlagRequired("percent") // it is there
	return o.onStage(c)
}

func newCanaryDisable(s *streams) *cobra.Command {
	var o deployOptions
	c := o.command("disable API", "Have all requests go where those go that don't go to the canary",
		"Have no request go to a stage's canary, and forget what is deployed to it, until\n"+
			"something else is.",
		func(c *cobra.Command, args []string) error {
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				out, err := d.Disable(c.Context(), args[0], o.stage, whoAsks())
				if err != nil {
					return err
				}
				return o.shared(s, out)
			})
		})
	return o.onStage(c)
}

// shared tells which share of the requests goes to a canary.
func (o *deployOptions) shared(s *streams, out control.Outcome) error {
	return o.show(s, out, func(w io.Writer) {
		fmt.Fprintf(w, "the canary of %s:%s: gets %g %% of the requests\n", out.API, out.Stage, *out.Percent)
	})
}
