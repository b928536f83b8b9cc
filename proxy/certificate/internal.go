package certificate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
)

// Lives of what the internal authority makes. Certificates are made anew at each
// start; only the root is kept, and trusted by whoever chose to.
const (
	rootLife     = 10 * 365 * 24 * time.Hour
	internalLife = 7 * 24 * time.Hour
	internalLate = time.Hour // that a client's clock may be late
)

// internalWindow is the last part of an internal certificate's life, in which it is
// renewed.
const internalWindow = 1.0 / 3

// rootDocument is where the root is stored with its key.
const rootDocument = "internal/root"

// reservedNames are what an internal authority may always certify: names that are
// nobody's in public. RFC 6761, RFC 6762, RFC 8375, and ICANN's ".internal".
const reservedNames = "localhost test local internal invalid example home.arpa"

// root is the internal authority. Immutable.
type root struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	text        []byte // the certificate in PEM
}

// permits reports whether certificates of r for all domains count. RFC 5280, 4.2.1.10.
func (r *root) permits(domains []string) bool {
	for _, domain := range domains {
		if !within(domain, r.certificate.PermittedDNSDomains) {
			return false
		}
	}
	return true
}

// within reports whether domain is one of parents, or below one.
func within(domain string, parents []string) bool {
	host := strings.TrimPrefix(domain, "*.")
	return slices.ContainsFunc(parents, func(parent string) bool { return host == parent || strings.HasSuffix(host, "."+parent) })
}

// newRoot makes a root that may certify reserved names, what before could, and
// domains, and nothing else: whoever gets hold of its key can't pass for a bank.
func newRoot(before *root, domains []string, now time.Time) (*root, error) {
	permitted := strings.Fields(reservedNames)
	if before != nil {
		permitted = before.certificate.PermittedDNSDomains
	}
	permitted = slices.Clone(permitted)
	for _, domain := range domains {
		if !within(domain, permitted) {
			permitted = append(permitted, strings.TrimPrefix(domain, "*."))
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(point)
	template := &x509.Certificate{
		Subject:      pkix.Name{CommonName: fmt.Sprintf("postern internal %x", sum[:4])},
		SubjectKeyId: sum[:20],
		NotBefore:    now.Add(-internalLate), NotAfter: now.Add(rootLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: permitted,
		ExcludedIPRanges: []*net.IPNet{
			{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key) // with a random serial number
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &root{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// sign makes a certificate for domain, with a key of its own.
func (r *root) sign(domain string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		DNSNames:  []string{domain},
		NotBefore: now.Add(-internalLate), NotAfter: now.Add(internalLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, r.certificate, &key.PublicKey, r.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// storedRoot returns the root that the store has; fs.ErrNotExist without a good one.
func (k *Keeper) storedRoot(ctx context.Context) (*root, error) {
	stored, err := k.storage.pair(ctx, rootDocument)
	if err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(stored.Chain, stored.Key)
	if err != nil {
		return nil, k.storage.damaged(rootDocument, err)
	}
	key, ok := c.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !c.Leaf.IsCA {
		return nil, k.storage.damaged(rootDocument, errors.New("it isn't a root of ours"))
	}
	return &root{c.Leaf, key, stored.Chain}, nil
}

// rootFor returns the internal authority, one that may certify domains: the stored
// one, or else a new one. An idle keeper makes none.
func (k *Keeper) rootFor(ctx context.Context, domains []string) (*root, error) {
	good := func(r *root) bool {
		return r.permits(domains) && r.certificate.NotAfter.After(k.now().Add(internalLife))
	}
	r, err := k.storedRoot(ctx)
	if err == nil && good(r) {
		return r, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if k.idle {
		return nil, errors.New("the next start makes the internal authority")
	}
	const lock = "internal_root"
	if err := k.storage.Lock(ctx, lock); err != nil {
		return nil, err
	}
	defer func() {
		if err := k.storage.Unlock(context.Background(), lock); err != nil {
			k.logger.Warn("a claim can't be given back", zap.Error(err))
		}
	}()
	before, err := k.storedRoot(ctx)
	if err == nil && good(before) {
		return before, nil // another process was faster
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if r, err = newRoot(before, domains, k.now()); err != nil {
		return nil, err
	}
	key, err := privateText(r.key)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(&pair{Key: key, Chain: r.text})
	if err != nil {
		return nil, err
	}
	if err := k.storage.put(ctx, rootDocument, text); err != nil {
		return nil, err
	}
	if before != nil {
		k.logger.Warn("the internal authority has a new root, which clients have to trust anew", zap.Strings("names", domains))
	}
	return r, nil
}

// certify makes certificates for those of the generation's names that the internal
// authority is for, unless they have one of it that is young enough.
func (g *Generation) certify(ctx context.Context) {
	k := g.keeper
	var names []*name
	var domains []string
	for _, n := range sortedNames(g.names) {
		if n.source == config.CertificateInternal {
			names, domains = append(names, n), append(domains, n.name)
		}
	}
	if len(names) == 0 {
		return
	}
	r, err := k.rootFor(ctx, domains)
	if err != nil {
		k.logger.Error("no internal authority", zap.Error(err))
	}
	for _, n := range names {
		failed := err
		if failed == nil && n.isOf(r, k.now()) {
			continue
		}
		if failed == nil {
			failed = k.certified(n, r)
		}
		if failed != nil {
			k.failed.Add(1)
			n.fail(k.now(), failed)
		}
	}
}

// isOf reports whether n has a certificate of r that needn't be renewed.
func (n *name) isOf(r *root, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leaf != nil && bytes.Equal(n.leaf.AuthorityKeyId, r.certificate.SubjectKeyId) && now.Before(n.due)
}

// certified installs a certificate of r for n.
func (k *Keeper) certified(n *name, r *root) error {
	c, err := r.sign(n.name, k.now())
	if err != nil {
		return err
	}
	n.install(c, config.CertificateInternal, acme.RenewalInfo{})
	n.mu.Lock()
	n.due = renewAt(n.name, c.Leaf, acme.RenewalInfo{}, internalWindow)
	n.mu.Unlock()
	return nil
}

// Root returns the certificate of the internal authority in PEM; fs.ErrNotExist
// while no domain needed it.
func (k *Keeper) Root(ctx context.Context) ([]byte, error) {
	if k.storage == nil {
		return nil, fs.ErrNotExist
	}
	r, err := k.storedRoot(ctx)
	if err != nil {
		return nil, err
	}
	return r.text, nil
}

// privateText returns key in PEM.
func privateText(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
