package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/config"
)

func newCert(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "cert",
		Short: "Look after the certificates of domains, and make those shown to backends",
		Example: "  postern cert list                           # which domains have certificates, for how long, and what failed\n" +
			"  postern cert renew api.example.com\n" +
			"  postern cert export api.example.com --key api.key > api.pem\n" +
			"  sudo postern cert trust -c postern.toml     # trust the internal authority, on this machine\n" +
			"  postern cert client orders > orders.crt     # make one for backends; orders.crt is what they trust\n" +
			"  postern cert rotate orders > orders-2.crt   # its successor, for the backend to trust, too\n" +
			"  postern cert rotate orders --activate       # and now in its place",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newCertList(s), newCertRenew(s), newCertRevoke(s), newCertExport(s), newCertTrust(s), newCertRollover(s), newCertClient(s), newCertRotate(s))
	return c
}

// certFolder is where the commands of "cert" keep files.
type certFolder struct{ config, dir string }

func (f *certFolder) addFlags(c *cobra.Command) {
	addFile(c, &f.config)
	c.Flags().StringVar(&f.dir, "dir", "", "the `folder` of certificates (default: certificates in data_dir)")
}

// path returns the folder.
func (f *certFolder) path() (string, error) {
	if f.dir != "" {
		return filepath.Abs(f.dir)
	}
	// Whatever else is wrong with it: it may name the certificate that is about to be made.
	cfg, _ := config.Load(f.config)
	if cfg == nil {
		cfg = &config.Config{}
	}
	dir, err := dataDir(cfg)
	if err != nil {
		return "", err
	}
	return filepath.Abs(filepath.Join(dir, "certificates"))
}

// file returns the file of the certificate called name.
func (f *certFolder) file(name string) (string, error) {
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(name) {
		return "", fmt.Errorf("%q is no name for a certificate: 1 to 64 letters, digits, \"_\" and \"-\"", name)
	}
	dir, err := f.path()
	return filepath.Join(dir, name+".pem"), err
}

func newCertClient(s *streams) *cobra.Command {
	var folder certFolder
	var rsa bool
	var days int
	c := &cobra.Command{
		Use:   "client NAME",
		Short: "Make a certificate that a stage shows to its backends",
		Long: "Make a key and a certificate that it signs itself, as API Gateway's client certificates\n" +
			"are, in one file that only its owner may read. The certificate alone is printed, for\n" +
			"the backends that are to trust it; what belongs into the configuration goes to the\n" +
			"standard error output.",
		Example: "  postern cert client orders > orders.crt\n  postern cert client legacy --rsa --days 90",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := folder.file(args[0])
			if err != nil {
				return err
			}
			public, err := makeCertificate(file, args[0], rsa, days, keepExisting)
			if errors.Is(err, fs.ErrExist) {
				err = fmt.Errorf("%s exists: make its successor with: postern cert rotate %s", file, args[0])
			}
			if err != nil {
				return &failure{exitFailed, err}
			}
			fmt.Fprintf(s.err, "Made %s. In the configuration:\n\n[client_certificate.%s]\ncert = %q\n\n[api.NAME.stage.NAME]\nclient_certificate = %q\n\n", file, args[0], file, args[0])
			_, err = s.out.Write(public)
			return wrote(err)
		},
	}
	folder.addFlags(c)
	addKey(c, &rsa, &days)
	return c
}

func addKey(c *cobra.Command, rsa *bool, days *int) {
	c.Flags().BoolVar(rsa, "rsa", false, "an RSA key of 2048 bits instead of ECDSA with P-256")
	c.Flags().IntVar(days, "days", 365, "how long it is valid, 1 to 3650 `days`")
}

// successor is the file of what is to take the place of file's certificate.
func successor(file string) string { return strings.TrimSuffix(file, ".pem") + ".next.pem" }

func newCertRotate(s *streams) *cobra.Command {
	var folder certFolder
	var rsa, activate bool
	var days int
	c := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Make a certificate's successor, and put it into its place",
		Long: "Make the successor of a certificate and print it, for the backends to trust besides the\n" +
			"old one. With --activate it takes the old one's place; a gateway that runs notices.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := folder.file(args[0])
			if err != nil {
				return err
			}
			if _, err := os.Stat(file); err != nil {
				return &failure{exitFailed, fmt.Errorf("there is no certificate %q: %w", args[0], err)}
			}
			if activate {
				if err := os.Rename(successor(file), file); err != nil {
					return &failure{exitFailed, err}
				}
				_, err = fmt.Fprintf(s.out, "%s has its successor\n", file)
				return wrote(err)
			}
			public, err := makeCertificate(successor(file), args[0], rsa, days, replaceExisting)
			if err != nil {
				return &failure{exitFailed, err}
			}
			fmt.Fprintf(s.err, "Made %s. Once the backends trust it, too: postern cert rotate %s --activate\n", successor(file), args[0])
			_, err = s.out.Write(public)
			return wrote(err)
		},
	}
	folder.addFlags(c)
	addKey(c, &rsa, &days)
	c.Flags().BoolVar(&activate, "activate", false, "put the successor into its place")
	return c
}

// readLeaf returns the first certificate of a PEM file.
func readLeaf(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, errors.New("no certificate in it")
}
