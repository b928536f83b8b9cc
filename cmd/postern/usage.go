package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/usage"
)

func newUsage(s *streams) *cobra.Command {
	var o keyOptions
	var from, to string
	c := &cobra.Command{
		Use:   "usage PLAN|KEY",
		Short: "Show what keys have used of their plans",
		Long: "Show what keys have used of a plan, or one key of its plans, day by day in UTC, and\n" +
			"what was left at each day's end. Without dates it is the present period of the\n" +
			"plan's quota, or this month. Use is remembered for 90 days.",
		Example: "  postern usage gold\n" +
			"  postern usage partner --from 2026-11-01 --to 2026-11-30\n" +
			"  postern usage extend partner 5000",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return atDesk(c.Context(), s, o.file, func(d desk, cfg *config.Config) error {
				reports, err := reportsOn(d, cfg, args[0], from, to)
				if err != nil {
					return err
				}
				return o.show(s, reports, func(w io.Writer) { writeReports(w, reports) })
			})
		},
	}
	o.add(c)
	c.Flags().StringVar(&from, "from", "", "first `day`, as 2026-01-31")
	c.Flags().StringVar(&to, "to", "", "last `day`")
	c.AddCommand(newUsageExtend(s))
	return c
}

func newUsageExtend(s *streams) *cobra.Command {
	var o keyOptions
	var plan string
	c := &cobra.Command{
		Use:   "extend KEY REQUESTS",
		Short: "Grant a key further requests in the present period of its quota",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || n == 0 {
				return fmt.Errorf("REQUESTS is a whole number that isn't 0, not %q", args[1])
			}
			return atDesk(c.Context(), s, o.file, func(d desk, _ *config.Config) error {
				id, of, err := d.Extend(args[0], plan, n, whoAsks())
				if err != nil {
					return err
				}
				granted := map[string]any{"key": id, "plan": of, "requests": n}
				return o.show(s, granted, func(w io.Writer) {
					fmt.Fprintf(w, "%s may send %d more requests of plan %s in this period\n", id, n, of)
				})
			})
		},
	}
	o.add(c)
	c.Flags().StringVar(&plan, "plan", "", "the `plan`, for a key in several")
	return c
}

// reportsOn reports on the plan called name, else on the key.
func reportsOn(d desk, cfg *config.Config, name, from, to string) ([]usage.Report, error) {
	if _, isPlan := cfg.Plan[name]; isPlan {
		r, err := d.Report(name, "", from, to)
		return []usage.Report{r}, err
	}
	reports, err := d.KeyUse(name, from, to)
	if err != nil {
		return nil, fmt.Errorf("%q is no plan of the configuration; as a key: %w", name, err)
	}
	return reports, nil
}

func writeReports(w io.Writer, reports []usage.Report) {
	fmt.Fprintln(w, "PLAN\tKEY\tDAY\tUSED\tLEFT")
	for _, r := range reports {
		first, err := time.Parse(time.DateOnly, r.Start)
		if err != nil { // it was written by ourselves
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(r.Items)) {
			for i, day := range r.Items[id] {
				left := strconv.FormatInt(day[1], 10)
				if day[1] < 0 {
					left = "-"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", r.Plan, id, first.AddDate(0, 0, i).Format(time.DateOnly), day[0], left)
			}
		}
	}
}
