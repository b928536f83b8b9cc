package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/explain"
)

func newTrace(s *streams) *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "trace",
		Short: "Follow live requests through the phases",
		Long: "List the traces of live requests that a running gateway keeps, the newest first. A\n" +
			"request is traced when its header " + explain.Header + " has a token, which\n" +
			"`postern trace token` makes. The client that sends it learns nothing of the trace.",
		Example: "  curl -H \"" + explain.Header + ": $(postern trace token pets --stage prod)\" https://api.example.com/pets/1 -i\n" +
			"  postern trace                    # which requests there are\n" +
			"  postern trace show REQUEST-ID    # the reply's x-amzn-RequestId",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return atTracing(c.Context(), s, file, atGateway, func(t control.Tracing, _ *config.Config) error {
				return listTraces(c.Context(), s, t, format)
			})
		},
	}
	addFile(c, &file)
	c.Flags().StringVar(&format, "format", "text", "text or json")
	c.AddCommand(newTraceToken(s), newTraceShow(s))
	return c
}

func listTraces(ctx context.Context, s *streams, t control.Tracing, format string) error {
	all, err := t.Traces(ctx)
	if err != nil {
		return err
	}
	if format == "json" {
		return s.printJSON(map[string]any{"traces": all})
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "REQUEST ID\tTIME\tSTAGE\tSTATUS\tREQUEST")
	for _, one := range all {
		stage := one.API + ":" + one.Stage
		if one.API == "" {
			stage = "-" // no stage took it
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%q\n", one.ID, one.Time.UTC().Format(time.RFC3339), stage, one.Status, one.Request)
	}
	return wrote(w.Flush())
}

func newTraceToken(s *streams) *cobra.Command {
	var file, stage string
	var life time.Duration
	c := &cobra.Command{
		Use:   "token API",
		Short: "Make a token that has live requests traced",
		Long: "Make a token for the header " + explain.Header + ". It is good for one API, or one of\n" +
			"its stages, and for some time. Whoever has it can have requests traced, and see nothing:\n" +
			"traces are shown at the admin listener only.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if life < time.Second || life > explain.MaxLife {
				return fmt.Errorf("--for is 1s to %s", explain.MaxLife)
			}
			return atTracing(c.Context(), s, file, atGateway, func(t control.Tracing, _ *config.Config) error {
				token, err := t.Token(c.Context(), explain.Scope{API: args[0], Stage: stage, Expires: time.Now().Add(life)})
				if err != nil {
					return err
				}
				_, err = io.WriteString(s.out, token+"\n")
				return wrote(err)
			})
		},
	}
	addFile(c, &file)
	c.Flags().StringVar(&stage, "stage", "", "the `NAME` of the only stage that it is for; without it, all of the API's")
	c.Flags().DurationVar(&life, "for", 15*time.Minute, "how `LONG` it is good")
	return c
}

func newTraceShow(s *streams) *cobra.Command {
	var o invokeOptions
	c := &cobra.Command{
		Use:   "show REQUEST-ID",
		Short: "Show what became of a live request, phase by phase",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkWord("format", o.format, "text", "json", "aws"); err != nil {
				return err
			}
			return atTracing(c.Context(), s, o.file, atGateway, func(t control.Tracing, _ *config.Config) error {
				trace, err := t.Trace(c.Context(), args[0])
				if err != nil {
					return err
				}
				return o.tell(s, trace)
			})
		},
	}
	addFile(c, &o.file)
	c.Flags().StringVar(&o.format, "format", "text", "text, json, or aws: the log of AWS's TestInvokeMethod")
	return c
}
