package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
)

// cabinet is where the certificates of domains are looked up and changed: a gateway
// that runs, or what one stored that doesn't.
type cabinet interface {
	Certificates(ctx context.Context) (control.DomainCertificates, error)
	RenewCertificate(ctx context.Context, domain string) (control.DomainCertificate, error)
	RevokeCertificate(ctx context.Context, domain, reason string) (control.DomainCertificate, error)
	RollOver(ctx context.Context, authority string) error
}

var (
	_ cabinet = (*control.Client)(nil)
	_ cabinet = (*stored)(nil)
)

// stored is the cabinet of a gateway that doesn't run.
type stored struct {
	keeper  *certificate.Keeper
	address string // where it would be
}

// Certificates implements cabinet.
func (s *stored) Certificates(context.Context) (control.DomainCertificates, error) {
	f := s.keeper.Figures()
	return control.Describe(&f, time.Now()), nil
}

// RenewCertificate implements cabinet: authorities ask whoever serves.
func (s *stored) RenewCertificate(context.Context, string) (control.DomainCertificate, error) {
	return control.DomainCertificate{}, fmt.Errorf("no gateway runs at %s: certificates are renewed by the one that serves them", s.address)
}

// RevokeCertificate implements cabinet. The next start gets another one.
func (s *stored) RevokeCertificate(ctx context.Context, domain, reason string) (control.DomainCertificate, error) {
	number, err := control.RevocationReason(reason)
	if err == nil {
		err = s.keeper.Revoke(ctx, domain, number)
	}
	if err != nil {
		return control.DomainCertificate{}, err
	}
	all, err := s.Certificates(ctx)
	if err != nil {
		return control.DomainCertificate{}, err
	}
	return all.Find(domain)
}

// RollOver implements cabinet: nobody has to serve for it.
func (s *stored) RollOver(ctx context.Context, authority string) error {
	return s.keeper.RollOver(ctx, authority)
}

// loadFor loads the configuration of a command.
func loadFor(s *streams, file string) (*config.Config, error) {
	if err := absent(file); err != nil {
		return nil, &failure{exitInvalid, err}
	}
	cfg, findings := config.Load(file)
	if cfg == nil || findings.Failed() {
		return nil, refused(s, findings)
	}
	return cfg, nil
}

// atStore calls f with what the store of cfg has.
func atStore(ctx context.Context, s *streams, cfg *config.Config, f func(*certificate.Keeper) error) error {
	keeper, findings, err := lookAt(ctx, cfg)
	if err != nil {
		return &failure{exitFailed, err}
	}
	if keeper == nil {
		return refused(s, findings)
	}
	defer keeper.Close()
	return f(keeper)
}

// atCabinet calls f with the gateway that runs with cfg or, when none does, with its
// store.
func atCabinet(ctx context.Context, s *streams, cfg *config.Config, f func(cabinet) error) error {
	return reach(ctx, cfg, func(c *control.Client) error { return f(c) }, func(address string, _ error) error {
		return atStore(ctx, s, cfg, func(k *certificate.Keeper) error { return f(&stored{k, address}) })
	})
}

// writeDomains writes the certificates of domains as a table, and what is wrong below.
func writeDomains(w io.Writer, all *control.DomainCertificates) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DOMAIN\tSTATE\tSOURCE\tISSUER\tEXPIRES\tDAYS LEFT\tRENEWED AT\tNEXT TRY")
	for i := range all.Certificates {
		c := &all.Certificates[i]
		left := "-"
		if !c.NotAfter.IsZero() {
			left = fmt.Sprintf("%.1f", c.DaysLeft)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			c.Name, c.State, c.Source, orDash(c.Issuer), moment(c.NotAfter), left, moment(c.Renew), moment(c.NextTry))
	}
	_ = table.Flush() // w remembers its errors
	for i := range all.Certificates {
		if c := &all.Certificates[i]; c.LastError != "" {
			fmt.Fprintf(w, "%s: the last try, at %s, failed: %s\n", c.Name, moment(c.LastTry), c.LastError)
		}
	}
	for _, why := range all.Paused {
		fmt.Fprintln(w, why)
	}
	if slices.ContainsFunc(all.Certificates, func(c control.DomainCertificate) bool { return c.Source == config.CertificateACME }) {
		fmt.Fprintf(w, "orders left in this minute: %d\n", all.OrdersLeft)
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func moment(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02T15:04Z")
}

// remembering is a writer that remembers its first error.
type remembering struct {
	to  io.Writer
	err error
}

// Write implements io.Writer.
func (r *remembering) Write(text []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.to.Write(text)
	r.err = err
	return n, err
}

// writeOne writes what became of one certificate.
func writeOne(s *streams, format string, c *control.DomainCertificate, done string) error {
	if format == "json" {
		return s.printJSON(c)
	}
	if c.NotAfter.IsZero() {
		_, err := fmt.Fprintf(s.out, "%s: %s\n", c.Name, done)
		return wrote(err)
	}
	_, err := fmt.Fprintf(s.out, "%s: %s; it has one until %s, serial number %s\n", c.Name, done, moment(c.NotAfter), c.Serial)
	return wrote(err)
}

// domainOptions are those of commands about one domain's certificate.
type domainOptions struct{ file, format string }

func (o *domainOptions) add(c *cobra.Command) {
	addFile(c, &o.file)
	c.Flags().StringVar(&o.format, "format", "text", "of the answer: text or json")
}

func newCertRenew(s *streams) *cobra.Command {
	var o domainOptions
	c := &cobra.Command{
		Use:   "renew DOMAIN",
		Short: "Get a domain another certificate now",
		Long: "Get a domain another certificate now, and wait for it. The one before serves until\n" +
			"then, and on if that fails. A gateway has to run: authorities ask it.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.alter(c.Context(), s, func(ctx context.Context, all cabinet) (control.DomainCertificate, error) {
				return all.RenewCertificate(ctx, args[0])
			}, "renewed")
		},
	}
	o.add(c)
	return c
}

func newCertRevoke(s *streams) *cobra.Command {
	var o domainOptions
	var reason string
	c := &cobra.Command{
		Use:   "revoke DOMAIN",
		Short: "Have a domain's certificate revoked, and get another one",
		Long: "Have the authority revoke a domain's certificate. A gateway that runs gets another one\n" +
			"at once, with another key, and serves the old one until then; one that doesn't, at its\n" +
			"next start.",
		Example: "  postern cert revoke api.example.com --reason key_compromise",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := control.RevocationReason(reason); err != nil {
				return fmt.Errorf("--reason is one of %s, not %q", strings.Join(control.RevocationReasons(), ", "), reason)
			}
			return o.alter(c.Context(), s, func(ctx context.Context, all cabinet) (control.DomainCertificate, error) {
				return all.RevokeCertificate(ctx, args[0], reason)
			}, "revoked, and to be replaced")
		},
	}
	o.add(c)
	c.Flags().StringVar(&reason, "reason", "unspecified", "`why`: "+strings.Join(control.RevocationReasons(), ", "))
	return c
}

// alter does f and says so.
func (o *domainOptions) alter(ctx context.Context, s *streams, f func(context.Context, cabinet) (control.DomainCertificate, error), done string) error {
	if err := checkFormat(o.format); err != nil {
		return err
	}
	cfg, err := loadFor(s, o.file)
	if err != nil {
		return err
	}
	return atCabinet(ctx, s, cfg, func(all cabinet) error {
		one, err := f(ctx, all)
		if err != nil {
			return err
		}
		return writeOne(s, o.format, &one, done)
	})
}

func newCertExport(s *streams) *cobra.Command {
	var file, key string
	c := &cobra.Command{
		Use:   "export DOMAIN",
		Short: "Print a domain's certificate, and write its key",
		Long: "Print the certificate of a domain with its issuers, as PEM, and with --key write its\n" +
			"private key to a file that only you may read. Both are read from data_dir, which\n" +
			"takes the rights to do so; the admin address gives nobody keys. An internal\n" +
			"certificate isn't kept there: each export makes another one.",
		Example: "  postern cert export api.example.com --key api.key > api.pem",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadFor(s, file)
			if err != nil {
				return err
			}
			return atStore(c.Context(), s, cfg, func(k *certificate.Keeper) error {
				chain, private, err := k.Export(args[0])
				if err != nil {
					return &failure{exitFailed, fmt.Errorf("%w; there are: %s", err, strings.Join(slices.Sorted(maps.Keys(cfg.Domain)), ", "))}
				}
				if key != "" {
					if key, err = filepath.Abs(key); err != nil {
						return &failure{exitFailed, err}
					}
					if _, err := os.Stat(filepath.Dir(key)); err != nil {
						return &failure{exitFailed, err}
					}
					if err := writeWhole(key, private, replaceExisting); err != nil {
						return &failure{exitFailed, err}
					}
				}
				_, err = s.out.Write(chain)
				return wrote(err)
			})
		},
	}
	addFile(c, &file)
	c.Flags().StringVar(&key, "key", "", "write the private key to this `file`, in whose place it comes")
	return c
}
