package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newCertRollover(s *streams) *cobra.Command {
	var o domainOptions
	c := &cobra.Command{
		Use:   "rollover [AUTHORITY]",
		Short: "Give the account at a certificate authority another key",
		Long: "Give the account at a certificate authority another key, from now on or in case somebody\n" +
			"has seen the one that it has (RFC 8555, 7.3.5). The account and all certificates stay as\n" +
			"they are. AUTHORITY is its name in [acme]; it can be left out if there is just one.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(o.format); err != nil {
				return err
			}
			cfg, err := loadFor(s, o.file)
			if err != nil {
				return err
			}
			if cfg.ACME == nil {
				return &failure{exitFailed, fmt.Errorf("the configuration has no [acme], so no authority")}
			}
			if len(args) == 0 {
				if args = cfg.ACME.Issuers; len(args) != 1 {
					return fmt.Errorf("say which authority's: %s", strings.Join(args, ", "))
				}
			}
			return atCabinet(c.Context(), s, cfg, func(all cabinet) error {
				if err := all.RollOver(c.Context(), args[0]); err != nil {
					return err
				}
				if o.format == "json" {
					return s.printJSON(map[string]string{"name": args[0]})
				}
				_, err := fmt.Fprintf(s.out, "%s: the account has another key\n", args[0])
				return wrote(err)
			})
		},
	}
	o.add(c)
	return c
}
