package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/truststore"
)

// missing are the names that have no certificate to serve.
func (g *gateway) missing() control.Missing {
	m := control.Missing{Names: g.parts.certificates.Missing(), Total: g.parts.certificates.Names()}
	if cfg := g.serving.Load(); cfg != nil && cfg.ACME != nil {
		m.Needed = cfg.ACME.Ready
	}
	return m
}

// ageDomains warns of certificates of domains that should have been renewed.
func (g *gateway) ageDomains(now time.Time) {
	f := g.parts.certificates.Figures()
	for i := range f.Names {
		s := &f.Names[i]
		if !overdue(s, now) {
			continue
		}
		c := control.Certificate{Name: s.Name, NotBefore: s.NotBefore, NotAfter: s.NotAfter}
		fields := []zap.Field{zap.String("domain", s.Name), zap.String("finding", old(&c, now))}
		if s.Failure != "" {
			fields = append(fields, zap.String("last_error", s.Failure), zap.Time("next_try", s.Next))
		}
		g.journal.Warn("the certificate of a domain should be renewed", fields...)
	}
}

// overdue reports whether somebody should look at a certificate: a third of its life
// is left, or less, and nobody renews it or that fails. Those that are renewed by
// themselves come to that age, too.
func overdue(s *certificate.Status, now time.Time) bool {
	c := control.Certificate{NotBefore: s.NotBefore, NotAfter: s.NotAfter}
	if !s.Has || !c.Aging(now) {
		return false
	}
	return s.Renew.IsZero() || s.Failure != "" || s.NotAfter.Sub(now) <= s.NotAfter.Sub(s.NotBefore)/4
}

// rootName is the file in data_dir with the certificate of the internal authority,
// for clients that are to trust it.
const rootName = "internal-root.pem"

// publishRoot writes the certificate of the internal authority for clients, and tells
// of it, when that is news.
func (g *gateway) publishRoot(ctx context.Context, cfg *config.Config) {
	if !usesInternal(cfg) {
		return
	}
	file, err := writeRoot(ctx, g.parts.certificates, cfg)
	if err != nil {
		g.journal.Error("the internal authority's root can't be published", zap.Error(err))
		return
	}
	if file.fingerprint == g.root {
		return
	}
	g.root = file.fingerprint
	g.journal.Info("domains have certificates of the internal authority; clients trust them once they trust its root",
		zap.String("root", file.path), zap.String("sha256", file.fingerprint), zap.String("until", truststore.Date(file.until)),
		zap.String("try", "curl --cacert "+file.path), zap.String("install", "postern cert trust -c "+g.file))
}

func usesInternal(cfg *config.Config) bool {
	for _, d := range cfg.Domain {
		if d.Certificate != nil && d.Certificate.Source == config.CertificateInternal {
			return true
		}
	}
	return false
}

// rootFile is the published root of the internal authority.
type rootFile struct {
	path        string
	text        []byte // PEM
	fingerprint string // SHA-256, in hexadecimal digits
	until       time.Time
}

// writeRoot brings the published root of the keeper's internal authority up to date.
func writeRoot(ctx context.Context, keeper *certificate.Keeper, cfg *config.Config) (*rootFile, error) {
	text, err := keeper.Root(ctx)
	if err != nil {
		return nil, err
	}
	path, err := rootPath(cfg)
	if err != nil {
		return nil, err
	}
	file, err := describeRoot(path, text)
	if err != nil {
		return nil, err
	}
	if there, err := os.ReadFile(path); err == nil && string(there) == string(text) {
		return file, nil
	}
	if err := writeWhole(path, text, replaceExisting); err != nil {
		return nil, err
	}
	return file, os.Chmod(path, 0o644) // it is no secret
}

// rootPath returns where the root is published.
func rootPath(cfg *config.Config) (string, error) {
	dir, err := dataDir(cfg)
	if err != nil {
		return "", err
	}
	return filepath.Abs(filepath.Join(dir, rootName))
}

func describeRoot(path string, text []byte) (*rootFile, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the root isn't PEM")
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !root.IsCA {
		return nil, fmt.Errorf("%s has no root: it may not certify others", path)
	}
	sum := sha256.Sum256(root.Raw)
	return &rootFile{path: path, text: text, fingerprint: hex.EncodeToString(sum[:]), until: root.NotAfter}, nil
}

// lookAt returns a keeper that only looks at what the store of cfg has. The caller
// closes it.
func lookAt(ctx context.Context, cfg *config.Config) (*certificate.Keeper, config.Findings, error) {
	dir, err := dataDir(cfg)
	if err != nil {
		return nil, nil, err
	}
	store := certificate.NewDirectory(filepath.Join(dir, "certificates"))
	if _, err := os.Stat(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	keeper := certificate.New(certificate.Options{Store: store, Idle: true})
	generation, findings := keeper.Begin(ctx, cfg)
	if generation == nil {
		keeper.Close()
		return nil, findings, nil
	}
	generation.Commit()
	return keeper, findings, nil
}
