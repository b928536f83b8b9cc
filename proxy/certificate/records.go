package certificate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libdns/libdns"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/zone"
)

// Extensions are the plugins that have a say in certificates, by their names in the
// configuration: those that it has when they are called.
type Extensions interface {
	// Zones returns the plugin as one who lets us put records into zones.
	Zones(plugin string) zone.Provider

	// Certify has the plugin decide if a name may have a certificate; client is who asked
	// for it, if anybody did. An error is none of the two.
	Certify(ctx context.Context, plugin, name string, client netip.Addr) (bool, error)
}

// noExtensions is what a keeper has that was given none: one that only looks needs
// none.
type noExtensions struct{}

var errNoExtensions = errors.New("there are no plugins here")

func (noExtensions) Zones(string) zone.Provider { return noZones{} }

func (noExtensions) Certify(context.Context, string, string, netip.Addr) (bool, error) {
	return false, errNoExtensions
}

type noZones struct{}

func (noZones) AppendRecords(context.Context, string, []libdns.Record) ([]libdns.Record, error) {
	return nil, errNoExtensions
}

func (noZones) DeleteRecords(context.Context, string, []libdns.Record) ([]libdns.Record, error) {
	return nil, errNoExtensions
}

// overDNS answers dns-01 by records in a zone: at the name that is asked about, or
// where that is an alias of. RFC 8555, 8.4.
type overDNS struct {
	provider    zone.Provider
	resolver    *zone.Resolver
	zone        string // "": found out
	ttl         time.Duration
	delay       time.Duration
	propagation time.Duration // 0: nobody is asked
	logger      *zap.Logger

	mu   sync.Mutex // guards what follows
	made map[string]record
}

// record is one that is to be removed again.
type record struct{ zone, name string }

// cleanTime bounds how long it is tried to remove a record.
const cleanTime = time.Minute

// lookEvery is how often servers are asked for a new record.
const lookEvery = time.Second

// proof is how one name is proved to be ours besides what [acme] says of all.
type proof struct {
	records *overDNS // nil: not by records
	only    bool     // and by nothing else
}

// prove makes the proofs of cfg's domains.
func (p *plan) prove(cfg *config.Config, k *Keeper) error {
	all, err := newZones(cfg.ACME, k.extensions, k.logger)
	if err != nil {
		return err
	}
	p.proofs = map[string]proof{}
	for domain, d := range cfg.Domain {
		if d.Certificate != nil && all[d.Certificate.DNS] != nil {
			p.proofs[domain] = proof{all[d.Certificate.DNS], true}
		}
	}
	if slices.Contains(cfg.ACME.Challenges, acme.ChallengeTypeDNS01) {
		for _, s := range all { // the one that there is
			p.usual = proof{records: s}
		}
	}
	return nil
}

// proofOf returns how domain is proved.
func (p *plan) proofOf(domain string) proof {
	if own, has := p.proofs[domain]; has {
		return own
	}
	return p.usual
}

// newZones returns who answers dns-01 by the tables of zones in a.
func newZones(a *config.ACME, extensions Extensions, logger *zap.Logger) (map[string]*overDNS, error) {
	all := map[string]*overDNS{}
	for name, z := range a.DNS {
		s := &overDNS{
			resolver: zone.NewResolver(z.Resolvers), zone: z.Zone, ttl: time.Duration(z.TTL), delay: time.Duration(z.Delay),
			propagation: time.Duration(z.Propagation), logger: logger.With(zap.String("zones", name)), made: map[string]record{},
		}
		if z.Type == "wasm" {
			s.provider = extensions.Zones(z.Plugin)
		} else {
			var err error
			if s.provider, err = zone.New(z); err != nil {
				var key *config.KeyError
				if errors.As(err, &key) {
					return nil, &config.KeyError{Path: append([]string{name}, key.Path...), Text: key.Text, Hint: key.Hint}
				}
				return nil, err
			}
		}
		all[name] = s
	}
	return all, nil
}

// place returns where the record for name goes.
func (s *overDNS) place(ctx context.Context, name string) (record, error) {
	target, err := s.resolver.Target(ctx, name)
	if err != nil {
		return record{}, fmt.Errorf("is %s an alias: %w", name, err)
	}
	r := record{zone.Absolute(s.zone, ""), target}
	if s.zone == "" {
		if r.zone, err = s.resolver.Zone(ctx, target); err != nil {
			return record{}, fmt.Errorf("which zone is %s in: %w", target, err)
		}
	}
	return r, nil
}

func (s *overDNS) records(at record, value string) []libdns.Record {
	return []libdns.Record{libdns.TXT{Name: libdns.RelativeName(at.name, at.zone), TTL: s.ttl, Text: value}}
}

// Present implements acmez.Solver.
func (s *overDNS) Present(ctx context.Context, question acme.Challenge) error {
	value := question.DNS01KeyAuthorization()
	at, err := s.place(ctx, question.DNS01TXTRecordName())
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.made[value] = at // even if that fails: it may be there
	s.mu.Unlock()
	if _, err := s.provider.AppendRecords(ctx, at.zone, s.records(at, value)); err != nil {
		return fmt.Errorf("put a record at %s: %w", at.name, err)
	}
	return nil
}

// Wait implements acmez.Waiter: the authority isn't called before the servers that it
// will ask know the record.
func (s *overDNS) Wait(ctx context.Context, question acme.Challenge) error {
	value := question.DNS01KeyAuthorization()
	s.mu.Lock()
	at := s.made[value]
	s.mu.Unlock()
	if err := pause(ctx, s.delay); err != nil || s.propagation == 0 {
		return err
	}
	within, cancel := context.WithTimeout(ctx, s.propagation)
	defer cancel()
	for {
		err := s.resolver.Knows(within, at.zone, at.name, value)
		if err == nil {
			return nil
		}
		if ended := pause(within, lookEvery); ended != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("not everybody knows a new record after %v: %w", s.propagation, err)
		}
	}
}

// CleanUp implements acmez.Solver. It goes on when ctx ended.
func (s *overDNS) CleanUp(ctx context.Context, question acme.Challenge) error {
	value := question.DNS01KeyAuthorization()
	s.mu.Lock()
	at, there := s.made[value]
	delete(s.made, value)
	s.mu.Unlock()
	if !there {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	if _, err := s.provider.DeleteRecords(ctx, at.zone, s.records(at, value)); err != nil {
		s.logger.Warn("a record can't be removed", zap.String("at", at.name), zap.Error(err))
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

var (
	_ acmez.Solver = (*overDNS)(nil)
	_ acmez.Waiter = (*overDNS)(nil)
)
