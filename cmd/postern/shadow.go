package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/shadow"
)

func newShadow(s *streams) *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "shadow",
		Short: "Show how the answers of stages differ from those of their shadows",
		Long: "Show how the answers of stages differ from those of their shadows: counts, and the\n" +
			"latest differences. [api.NAME.stage.NAME.shadow] in the configuration makes one.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := shadowsOf(c.Context(), s, o.file)
			if err != nil {
				return err
			}
			return o.show(s, map[string]any{"shadows": all}, func(w io.Writer) { writeShadows(w, all) })
		},
	}
	o.add(c)
	return c
}

// shadowsOf asks the gateway that runs with the configuration in file.
func shadowsOf(ctx context.Context, s *streams, file string) ([]shadow.Report, error) {
	cfg, _, err := decoded(s, file)
	if err != nil {
		return nil, err
	}
	var all []shadow.Report
	err = reach(ctx, cfg, func(c *control.Client) (err error) {
		all, err = c.Shadows(ctx)
		return err
	}, func(address string, _ error) error {
		return fmt.Errorf("admin address %s: no gateway answers there, and what is compared is in its memory alone", address)
	})
	return all, err
}

func writeShadows(w io.Writer, all []shadow.Report) {
	fmt.Fprintln(w, "STAGE\tSAME\tDIFFERENT\tDROPPED\tSKIPPED")
	for _, r := range all {
		fmt.Fprintf(w, "%s:%s\t%d\t%d\t%d\t%d\n", r.API, r.Stage, r.Counts.Same, r.Counts.Different, r.Counts.Dropped, r.Counts.Skipped)
	}
	for _, r := range all {
		for _, d := range r.Differences {
			what := append(append([]string(nil), d.Headers...), d.Body...)
			if d.Status[0] != d.Status[1] {
				what = append([]string{fmt.Sprintf("status %d, %d", d.Status[0], d.Status[1])}, what...)
			}
			fmt.Fprintf(w, "%s:%s\t%s\t%s %s\t%s\n", r.API, r.Stage, d.Time.Local().Format(time.DateTime), d.Method, d.Path, strings.Join(what, ", "))
		}
	}
}
