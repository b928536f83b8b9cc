// Package certificate gets, keeps and serves the certificates of domains: by ACME,
// with certmagic, and from files. What it has outlives configurations.
package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
)

// Options are what a Keeper needs.
type Options struct {
	Logger *zap.Logger // default: nobody is told
	// Store keeps what is got. Without one nothing is got by ACME.
	Store Store
	// Now is the time. Default: time.Now.
	Now func() time.Time
	// Extensions are the plugins that configurations may name. Without any, none can.
	Extensions Extensions
	// Idle keepers only look: they get, renew and make nothing by themselves.
	Idle bool
}

// Keeper has the certificates of domains. Safe for concurrent use.
type Keeper struct {
	// Set at construction.
	logger     *zap.Logger
	storage    *storage // nil: nothing is got
	now        func() time.Time
	idle       bool
	extensions Extensions
	demand     *demand
	budget     *budget
	challenges *challenges
	cache      *certmagic.Cache // which stays empty; certmagic wants one
	wake       chan struct{}
	end        context.CancelFunc
	closing    sync.Once
	work       sync.WaitGroup

	current atomic.Pointer[table]
	renewed atomic.Int64
	failed  atomic.Int64

	mu          sync.Mutex // guards what follows
	names       map[string]*name
	plan        *plan
	authorities map[string]*authority // by what makes them, for the next generation
	busy        int                   // names that are visited just now
}

// plan is what a configuration says of getting certificates. Immutable.
type plan struct {
	config      *certmagic.Config
	authorities []*authority
	window      float64 // of a life
	proofs      map[string]proof
	usual       proof // of names that have none of their own
}

// New returns a keeper of nothing yet. Close ends it.
func New(o Options) *Keeper {
	k := &Keeper{logger: o.Logger, now: o.Now, idle: o.Idle, wake: make(chan struct{}, 1), names: map[string]*name{}, authorities: map[string]*authority{}}
	if k.logger == nil {
		k.logger = zap.NewNop()
	}
	if k.now == nil {
		k.now = time.Now
	}
	k.extensions = o.Extensions
	if k.extensions == nil {
		k.extensions = noExtensions{}
	}
	k.budget = &budget{now: k.now, limit: 1}
	k.demand = newDemand(k)
	k.current.Store(newTable(nil))
	ctx, end := context.WithCancel(context.Background())
	k.end = end
	if o.Store == nil {
		return k
	}
	k.storage = newStorage(o.Store, k.logger)
	k.challenges = newChallenges(k.storage, k.logger)
	k.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) {
			return nil, errors.New("certificates aren't kept here")
		},
		RenewCheckInterval: 24 * time.Hour, OCSPCheckInterval: 24 * time.Hour, Logger: zap.NewNop(),
	})
	if !o.Idle {
		k.work.Go(func() { k.tend(ctx) })
	}
	return k
}

// Close stops getting certificates and waits for what is under way; orders are
// given up. What there is can still be found. A second time it does nothing.
func (k *Keeper) Close() {
	k.closing.Do(func() {
		k.end()
		k.demand.close()
		k.mu.Lock()
		for _, n := range k.names {
			n.drop()
		}
		for _, a := range k.authorities {
			a.close()
		}
		k.mu.Unlock()
		k.work.Wait()
		if k.cache != nil {
			k.cache.Stop()
		}
	})
}

// Find returns the certificate of the domain that serverName (SNI) names; nil when
// there is none. A certificate that is found costs no allocation.
func (k *Keeper) Find(serverName string) *tls.Certificate { return k.current.Load().find(serverName) }

// Proof returns how to answer a hello of an authority that checks a name by
// tls-alpn-01; nil when it is any other client's. Nothing but the proof may follow:
// a connection whose protocol is ProofProtocol is closed. RFC 8737.
func (k *Keeper) Proof(hello *tls.ClientHelloInfo) *tls.Config {
	if k.challenges == nil {
		return nil
	}
	proof := k.challenges.proof(hello)
	if proof == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{ProofProtocol}, Certificates: []tls.Certificate{*proof}, SessionTicketsDisabled: true,
	}
}

// ProofProtocol is the application protocol of connections by which an authority
// checks a name.
const ProofProtocol = acmez.ACMETLS1Protocol

// Answer returns what to answer an authority that asks host for path, by http-01;
// false for any request that no authority waits for. RFC 8555, 8.3.
func (k *Keeper) Answer(ctx context.Context, host, path string) (string, bool) {
	if k.challenges == nil {
		return "", false
	}
	return k.challenges.answer(ctx, host, path)
}

// solvers returns how a says that authorities are answered.
func (k *Keeper) solvers(a *config.ACME) map[string]acmez.Solver {
	all := map[string]acmez.Solver{}
	for _, kind := range a.Challenges {
		switch kind {
		case acme.ChallengeTypeHTTP01:
			all[kind] = overHTTP{k.challenges}
		case acme.ChallengeTypeTLSALPN01:
			all[kind] = overTLS{k.challenges}
		}
	}
	return all
}

// keyTypes are certmagic's words for ours.
var keyTypes = map[string]certmagic.KeyType{
	"p256": certmagic.P256, "p384": certmagic.P384,
	"rsa2048": certmagic.RSA2048, "rsa4096": certmagic.RSA4096,
}

// Generation is the certificates of a configuration that may come to serve: either
// Commit or Discard ends it.
type Generation struct {
	keeper      *Keeper
	plan        *plan // nil: nothing is got
	limit       int
	names       map[string]*name
	authorities map[string]*authority
	rules       *rules // nil: nothing is got on demand
}

// Begin reads the certificates of cfg's domains: those of files, and of the store
// what was got before. It asks no authority, and changes nothing. The generation is
// nil when there are errors among the findings.
func (k *Keeper) Begin(ctx context.Context, cfg *config.Config) (*Generation, config.Findings) {
	g := &Generation{keeper: k, names: map[string]*name{}, authorities: map[string]*authority{}}
	findings := g.prepare(cfg)
	files := pairFiles{}
	k.mu.Lock()
	before := maps.Clone(k.names)
	k.mu.Unlock()
	var fresh []*name
	for _, domain := range slices.Sorted(maps.Keys(cfg.Domain)) {
		c := cfg.Domain[domain].Certificate
		switch {
		case c == nil || c.Source == config.CertificateListener || c.Source == config.CertificateOnDemand:
		case c.Source == config.CertificateACME:
			n := before[domain]
			if n == nil || n.source != config.CertificateACME {
				n = newName(domain, config.CertificateACME)
				fresh = append(fresh, n)
			}
			g.names[domain] = n
		case c.Source == config.CertificateInternal:
			if k.storage == nil {
				findings = append(findings, cfg.Finding([]string{"domain", domain, "certificate"}, "there is no folder to keep the internal authority in", "set data_dir"))
				continue
			}
			n := before[domain]
			if n == nil || n.source != config.CertificateInternal {
				n = newName(domain, config.CertificateInternal)
			}
			g.names[domain] = n
		default:
			pair, finding := files.read(cfg, []string{"domain", domain, "certificate"}, c.Cert, c.Key)
			if finding != nil {
				findings = append(findings, *finding)
				continue
			}
			n := newName(domain, sourceFiles)
			if old := before[domain]; old != nil && old.serves(pair) {
				n = old // with its staple
			} else {
				n.install(pair, "", acme.RenewalInfo{})
			}
			g.names[domain] = n
		}
	}
	if findings.Failed() {
		return nil, findings
	}
	if g.plan != nil {
		g.load(ctx, fresh)
	}
	return g, findings
}

// prepare makes the plan of cfg.
func (g *Generation) prepare(cfg *config.Config) config.Findings {
	a, k := cfg.ACME, g.keeper
	if a == nil {
		return nil
	}
	if k.storage == nil {
		return config.Findings{cfg.Finding([]string{"acme"}, "there is no folder to keep certificates in", "set data_dir")}
	}
	g.limit, g.rules = a.OrdersPerMinute, newRules(cfg)
	p := &plan{window: float64(a.RenewWindow) / 100}
	var findings config.Findings
	var issuers []certmagic.Issuer
	for _, name := range a.Issuers {
		makings := fmt.Sprintf("%q %q %q %+v", name, a.Email, a.Challenges, a.Issuer[name])
		if eab := a.Issuer[name].EAB; eab != nil {
			makings += fmt.Sprintf(" %+v", *eab)
		}
		au, err := newAuthority(name, a, k)
		if err != nil {
			findings = append(findings, finding(cfg, []string{"acme", "issuer", name}, err))
			continue
		}
		makings += " " + au.rootsSum
		k.mu.Lock()
		if old := k.authorities[makings]; old != nil {
			au = old // with what it asked us for
		}
		k.mu.Unlock()
		g.authorities[makings] = au
		p.authorities = append(p.authorities, au)
		issuers = append(issuers, au)
	}
	if err := p.prove(cfg, k); err != nil {
		findings = append(findings, finding(cfg, []string{"acme", "dns"}, err))
	}
	if findings.Failed() {
		return findings
	}
	p.config = certmagic.New(k.cache, certmagic.Config{
		RenewalWindowRatio: p.window, Issuers: issuers, Storage: k.storage, Logger: zap.NewNop(), DisableARI: true,
		KeySource: certmagic.StandardKeyGenerator{KeyType: keyTypes[a.KeyType]},
		OCSP:      certmagic.OCSPConfig{DisableStapling: true},
	})
	g.plan = p
	return findings
}

// finding puts an error of a part of cfg to its place.
func finding(cfg *config.Config, at []string, err error) config.Finding {
	var key *config.KeyError
	if errors.As(err, &key) {
		return cfg.Finding(append(slices.Clone(at), key.Path...), key.Text, key.Hint)
	}
	return cfg.Finding(at, err.Error(), "")
}

// load reads what the store has for names, several at a time.
func (g *Generation) load(ctx context.Context, names []*name) {
	var next atomic.Int64
	var work sync.WaitGroup
	for range min(loaders, len(names)) {
		work.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return
				}
				err := g.keeper.restore(ctx, g.plan, names[i])
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					g.keeper.logger.Warn("a stored certificate can't be read", zap.String("name", names[i].name), zap.Error(err))
				}
			}
		})
	}
	work.Wait()
}

// loaders is how many stored certificates are read at a time.
const loaders = 8

// Commit makes the generation's certificates those that are served, and gets those
// that are missing. Names that it hasn't are forgotten; what is stored of them
// stays, for the day they come back.
func (g *Generation) Commit() {
	k := g.keeper
	g.certify(context.Background())
	k.mu.Lock()
	k.demand.commit(g)
	for domain, n := range k.names {
		if g.names[domain] != n {
			n.drop()
		}
	}
	changed := len(g.authorities) != len(k.authorities)
	for makings, a := range k.authorities {
		if g.authorities[makings] != a {
			a.close()
			changed = true
		}
	}
	k.names, k.plan, k.authorities = g.names, g.plan, g.authorities
	if g.plan != nil {
		k.budget.set(g.limit)
		for _, n := range g.names {
			n.plan(g.plan, k.now())
			if changed {
				n.hope()
			}
		}
	}
	places := make(map[string]*place, len(g.names))
	for domain, n := range g.names {
		if n.demand == nil {
			places[domain] = &n.place
		}
	}
	k.mu.Unlock()
	k.current.Store(newTable(places))
	k.poke()
}

// Discard gives the generation up.
func (g *Generation) Discard() {
	k := g.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	for makings, au := range g.authorities {
		if k.authorities[makings] != au {
			au.close()
		}
	}
}

// poke makes the keeper look at its names again.
func (k *Keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default: // it is about to
	}
}

// leafOf returns the certificate of domain if the authority with this key gave it.
func (k *Keeper) leafOf(key, domain string) *x509.Certificate {
	k.mu.Lock()
	n := k.names[domain]
	k.mu.Unlock()
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.issuer != key {
		return nil
	}
	return n.leaf
}
