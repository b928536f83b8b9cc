package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/truststore"
)

// listing is what "cert list" tells.
type listing struct {
	*control.DomainCertificates                     // nil: of domains nothing is known
	Clients                     []clientCertificate `json:"client_certificates"`
}

// clientCertificate is one that "cert client" made.
type clientCertificate struct {
	Name     string    `json:"name"`
	NotAfter time.Time `json:"not_after,omitzero"`
	Serial   string    `json:"serial,omitempty"`
	SHA256   string    `json:"sha256,omitempty"`
	Error    string    `json:"error,omitempty"` // why the rest isn't known
}

func newCertList(s *streams) *cobra.Command {
	var folder certFolder
	var format string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the certificates of domains, and those that were made for backends",
		Long: "List the certificates of domains: who issued them, how long they last, and what became\n" +
			"of the last try to get another one. A gateway that runs is asked at its admin\n" +
			"address; else data_dir is looked at. Then those that \"cert client\" made.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			all, dir, err := folder.list(c.Context(), s)
			if err != nil {
				return err
			}
			if format == "json" {
				return s.printJSON(all)
			}
			return all.write(s.out, dir)
		},
	}
	folder.addFlags(c)
	c.Flags().StringVar(&format, "format", "text", "of the list: text or json")
	return c
}

// list returns all there is to tell, and the folder of client certificates.
func (f *certFolder) list(ctx context.Context, s *streams) (all listing, dir string, err error) {
	if dir, err = f.path(); err != nil {
		return all, dir, &failure{exitFailed, err}
	}
	if all.Clients, err = listClients(dir); err != nil {
		return all, dir, &failure{exitFailed, err}
	}
	_, err = os.Stat(f.config)
	if f.dir != "" || f.config == defaultFile && errors.Is(err, fs.ErrNotExist) {
		return all, dir, nil // it is about that folder
	}
	cfg, err := loadFor(s, f.config)
	if err != nil {
		return all, dir, err
	}
	if !hasCertificates(cfg) {
		return all, dir, nil
	}
	return all, dir, atCabinet(ctx, s, cfg, func(from cabinet) error {
		domains, err := from.Certificates(ctx)
		all.DomainCertificates = &domains
		return err
	})
}

// hasCertificates reports whether a domain of cfg has a certificate of its own.
func hasCertificates(cfg *config.Config) bool {
	for _, d := range cfg.Domain {
		if d.Certificate != nil && d.Certificate.Source != config.CertificateListener {
			return true
		}
	}
	return false
}

func listClients(dir string) ([]clientCertificate, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil {
		return nil, err
	}
	all := make([]clientCertificate, len(files))
	for i, file := range files {
		all[i].Name = strings.TrimSuffix(filepath.Base(file), ".pem")
		leaf, err := readLeaf(file)
		if err != nil {
			all[i].Error = err.Error()
			continue
		}
		all[i].NotAfter, all[i].Serial, all[i].SHA256 = leaf.NotAfter, truststore.Serial(leaf), fmt.Sprintf("%x", sha256.Sum256(leaf.Raw))
	}
	return all, nil
}

// write writes tables; dir is the folder of client certificates.
func (l *listing) write(to io.Writer, dir string) error {
	w := &remembering{to: to}
	if l.DomainCertificates != nil {
		writeDomains(w, l.DomainCertificates)
		if len(l.Clients) == 0 {
			return wrote(w.err)
		}
		fmt.Fprintln(w)
	}
	if len(l.Clients) == 0 {
		fmt.Fprintf(w, "no certificates in %s\n", dir)
		return wrote(w.err)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tEXPIRES\tSERIAL NUMBER\tSHA-256")
	for _, c := range l.Clients {
		if c.Error != "" {
			fmt.Fprintf(table, "%s\t%s\n", c.Name, c.Error)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Name, c.NotAfter.UTC().Format(time.DateOnly), c.Serial, c.SHA256)
	}
	_ = table.Flush() // w remembers its errors
	return wrote(w.err)
}
