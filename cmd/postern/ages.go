package main

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/truststore"
)

// ageEvery is how often a gateway that runs looks at its certificates' ages.
const ageEvery = 24 * time.Hour

// aging are the certificates that cfg shows to backends, and when they expire.
func aging(cfg *config.Config) []control.Certificate {
	var all []control.Certificate
	for _, name := range sortedKeys(cfg.ClientCertificate) {
		leaf, err := readLeaf(cfg.ClientCertificate[name].Cert)
		if err != nil {
			continue // the load that is to use it says so
		}
		all = append(all, control.Certificate{Name: name, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter})
	}
	return all
}

// old says that c has a third of its life left, or less; "" for a younger one.
func old(c *control.Certificate, now time.Time) string {
	left := c.NotAfter.Sub(now)
	switch {
	case left <= 0:
		return "expired at " + truststore.Date(c.NotAfter)
	case !c.Aging(now):
		return ""
	}
	return fmt.Sprintf("expires at %s, in %d days", truststore.Date(c.NotAfter), int(left/(24*time.Hour)))
}

// checkAges finds certificates that should be renewed.
func checkAges(cfg *config.Config, now time.Time) (findings config.Findings) {
	for _, c := range aging(cfg) {
		if text := old(&c, now); text != "" {
			f := cfg.Finding([]string{"client_certificate", c.Name}, text, "postern cert rotate makes a successor")
			f.Severity = config.SeverityWarning
			findings = append(findings, f)
		}
	}
	return findings
}

// age warns of certificates that should be renewed.
func (g *gateway) age(now time.Time) {
	g.ageDomains(now)
	if cfg := g.serving.Load(); cfg != nil {
		for _, c := range aging(cfg) {
			if text := old(&c, now); text != "" {
				g.journal.Warn("a client certificate should be renewed", zap.String("client_certificate", c.Name), zap.String("finding", text))
			}
		}
	}
}

// certificateFigures are what the metrics tell of certificates.
func (g *gateway) certificateFigures() []control.Certificate {
	if cfg := g.serving.Load(); cfg != nil {
		return aging(cfg)
	}
	return nil
}
