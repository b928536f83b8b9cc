package certificate

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/certmagic"

	"github.com/postern-gateway/postern/proxy/config"
)

// ErrUnknown is the error of operations on names and authorities that there aren't.
var ErrUnknown = errors.New("there is no such")

// ErrBusy is the error of operations on a name that is being looked after.
var ErrBusy = errors.New("is being renewed just now")

func sortedNames(all map[string]*name) []*name {
	names := make([]*name, 0, len(all))
	for _, domain := range slices.Sorted(maps.Keys(all)) {
		names = append(names, all[domain])
	}
	return names
}

// managed returns a name whose certificates are got or made here, and the plan.
func (k *Keeper) managed(domain string) (*name, *plan, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.names[domain]
	if n == nil || !n.managed() {
		return nil, nil, fmt.Errorf("%w domain with a certificate that is got or made here: %s", ErrUnknown, domain)
	}
	return n, k.plan, nil
}

// exclusively runs f while nobody else looks after n.
func (k *Keeper) exclusively(n *name, f func() error) error {
	n.mu.Lock()
	if n.visited {
		n.mu.Unlock()
		return fmt.Errorf("%s: %w", n.name, ErrBusy)
	}
	n.visited = true
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.visited = false
		n.mu.Unlock()
		k.poke()
	}()
	return f()
}

// Renew gets another certificate for domain, and waits for it. The one before
// serves until then, and on if that fails.
func (k *Keeper) Renew(ctx context.Context, domain string) error {
	n, p, err := k.managed(domain)
	if err != nil {
		return err
	}
	return k.exclusively(n, func() error {
		n.mu.Lock()
		n.forced = true
		failure, failures, retry := n.failure, n.failures, n.retry
		n.mu.Unlock()
		err := k.renew(ctx, n, p)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.forced = false // it was asked for once

		if ctx.Err() != nil && err != nil { // whoever asked gave it up: nothing failed
			n.failure, n.failures, n.retry = failure, failures, retry
		}
		return err
	})
}

// Reasons to revoke a certificate. RFC 5280, 5.3.1.
const (
	ReasonUnspecified   = 0
	ReasonKeyCompromise = 1
	ReasonSuperseded    = 4
	ReasonCessation     = 5
)

// Revoke has the authority revoke domain's certificate, for one of the reasons
// above, and gets another one. The revoked one serves until that is there: clients
// refuse it or don't know.
func (k *Keeper) Revoke(ctx context.Context, domain string, reason int) error {
	n, p, err := k.managed(domain)
	if err != nil {
		return err
	}
	if n.source != config.CertificateACME {
		return fmt.Errorf("%s: nobody asks whether an internal certificate was revoked; renew it, and it ends within days", domain)
	}
	return k.exclusively(n, func() error {
		n.mu.Lock()
		issuer := n.issuer
		n.mu.Unlock()
		i := slices.IndexFunc(p.authorities, func(a *authority) bool { return a.key == issuer })
		if i < 0 {
			return fmt.Errorf("%w authority: %q, which %s is from", ErrUnknown, issuer, domain)
		}
		stored, err := k.storage.pair(ctx, document(issuer, domain))
		if err != nil {
			return err
		}
		resource := certmagic.CertificateResource{SANs: []string{domain}, CertificatePEM: stored.Chain, PrivateKeyPEM: stored.Key}
		if err := p.authorities[i].Revoke(ctx, resource, reason); err != nil {
			return fmt.Errorf("revoke the certificate of %s: %w", domain, err)
		}
		n.mu.Lock()
		n.revoked = true
		n.mu.Unlock()
		// Nobody serves it again after a start.
		return k.storage.store.Delete(ctx, document(issuer, domain))
	})
}

// RollOver gives our account at the authority called name in the configuration
// another key.
func (k *Keeper) RollOver(ctx context.Context, name string) error {
	k.mu.Lock()
	p := k.plan
	k.mu.Unlock()
	if p != nil {
		for _, a := range p.authorities {
			if a.name == name {
				return a.rollOver(ctx)
			}
		}
	}
	return fmt.Errorf("%w authority in acme.issuers: %s", ErrUnknown, name)
}

// Export returns the certificate that domain has, with its issuers, and its private
// key, in PEM.
func (k *Keeper) Export(domain string) (chain, key []byte, err error) {
	k.mu.Lock()
	n := k.names[domain]
	k.mu.Unlock()
	if n == nil {
		return nil, nil, fmt.Errorf("%w domain with a certificate of its own: %s", ErrUnknown, domain)
	}
	c := n.place.certificate.Load()
	if c == nil {
		return nil, nil, fmt.Errorf("%w certificate yet: %s", ErrUnknown, domain)
	}
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, err = privateText(c.PrivateKey)
	return chain, key, err
}
