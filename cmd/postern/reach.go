package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
)

// decoded returns the configuration in file, which may have mistakes, such as
// variables that this shell doesn't have: of a gateway that runs only the address is
// wanted.
func decoded(s *streams, file string) (*config.Config, config.Findings, error) {
	if err := absent(file); err != nil {
		return nil, nil, &failure{exitInvalid, err}
	}
	cfg, findings := config.Load(file)
	if cfg == nil {
		return nil, nil, refused(s, findings)
	}
	return cfg, findings, nil
}

// reach calls running with the gateway that runs with cfg or, when none does, alone
// with the address at which nobody answered, and how that was found.
func reach(ctx context.Context, cfg *config.Config, running func(*control.Client) error, alone func(address string, nobody error) error) error {
	address, err := adminAddress(cfg)
	if err != nil {
		return &failure{exitFailed, err}
	}
	secure, err := adminTLS(cfg)
	if err != nil {
		return &failure{exitFailed, err}
	}
	client, err := control.Dial(ctx, address, secure)
	switch {
	case err == nil:
		defer client.Close()
		err = running(client)
	case errors.Is(err, control.ErrNobody):
		err = alone(address, err)
	default:
		err = fmt.Errorf("admin address %s: %w", address, err)
	}
	var failed *failure
	if err != nil && !errors.As(err, &failed) {
		return &failure{exitFailed, err}
	}
	return err
}

// adminCertificate returns what the admin listener shows on a TCP address, nil for
// nothing.
func adminCertificate(cfg *config.Config) (*tls.Certificate, error) {
	c := cfg.Admin.TLS
	if c == nil {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("admin.tls: %w", err)
	}
	return &pair, nil
}

// adminTLS returns how commands speak to the admin listener on a TCP address, nil for
// cleartext.
func adminTLS(cfg *config.Config) (*tls.Config, error) {
	c := cfg.Admin.TLS
	if c == nil {
		return nil, nil
	}
	secure := &tls.Config{ServerName: c.ServerName, MinVersion: tls.VersionTLS12}
	if c.CA == "" {
		return secure, nil
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("admin.tls.ca: %w", err)
	}
	secure.RootCAs = x509.NewCertPool()
	if !secure.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("admin.tls.ca: %s has no certificate", c.CA)
	}
	return secure, nil
}
