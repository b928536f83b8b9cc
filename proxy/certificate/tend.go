package certificate

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
)

// workers is how many names are looked after at a time.
const workers = 4

// visitTime bounds what is done for a name at a time: an order that waits for its
// turn, a slow authority, one that is asked after it.
const visitTime = 20 * time.Minute

// longestNap is how long nothing is looked at: then the time may have been set.
const longestNap = time.Minute

// tend looks after the names until ctx ends.
func (k *Keeper) tend(ctx context.Context) {
	timer := time.NewTimer(longestNap)
	defer timer.Stop()
	for {
		n, need, plan, nap := k.next()
		if n != nil {
			k.work.Go(func() { k.visit(ctx, n, need, plan) })
			continue
		}
		timer.Reset(min(nap, longestNap))
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-timer.C:
		}
	}
}

// next returns the name that needs something most: one without a certificate, else
// the one that is due for the longest time. It is then being visited. Without one, it
// returns when to look again.
func (k *Keeper) next() (worst *name, need needs, p *plan, nap time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy >= workers {
		return nil, needs{}, nil, longestNap
	}
	now := k.now()
	soonest := now.Add(longestNap)
	pause := k.plan.paused(now) // until somebody may be asked
	var rank time.Time
	for _, n := range k.names {
		wants, at := n.needsAt(now)
		if wants.certificate && n.source == config.CertificateACME && (k.plan == nil || pause.After(now)) {
			wants.certificate = false
			at = pause
		}
		if k.plan == nil {
			wants.suggestion = false
		}
		if wants == (needs{}) {
			if at.After(now) && at.Before(soonest) {
				soonest = at
			}
			continue
		}
		urgency := n.urgency(wants)
		if worst == nil || urgency.Before(rank) {
			worst, need, rank = n, wants, urgency
		}
	}
	if worst == nil {
		return nil, needs{}, nil, max(soonest.Sub(now), 10*time.Millisecond)
	}
	worst.mu.Lock()
	worst.visited = true
	worst.mu.Unlock()
	k.busy++
	return worst, need, k.plan, 0
}

// paused returns until when no authority may be asked; a time that is over if one
// may be.
func (p *plan) paused(now time.Time) time.Time {
	if p == nil {
		return now
	}
	var first time.Time
	for _, a := range p.authorities {
		a.mu.Lock()
		until := a.until
		a.mu.Unlock()
		if first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}

// urgency orders names: the earlier, the worse.
func (n *name) urgency(wants needs) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !wants.certificate:
		return time.Unix(1<<40, 0) // it has one
	case n.leaf == nil:
		return n.tried // those that weren't tried yet first
	}
	return n.leaf.NotAfter
}

// visit does what n needs.
func (k *Keeper) visit(ctx context.Context, n *name, need needs, p *plan) {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer func() {
		if r := recover(); r != nil { // a mistake costs one visit
			k.logger.Error("panic while a certificate was looked after", zap.String("name", n.name), zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			n.fail(k.now(), fmt.Errorf("panic: %v", r))
		}
		cancel()
		n.mu.Lock()
		n.visited, n.stop = false, nil
		n.mu.Unlock()
		k.mu.Lock()
		k.busy--
		k.mu.Unlock()
		k.poke()
	}()
	n.mu.Lock()
	n.stop = cancel
	gone := n.gone
	n.mu.Unlock()
	if gone {
		return
	}
	if need.certificate && n.demand != nil {
		k.demand.visit(ctx, n.demand, p)
		return
	}
	if need.certificate {
		_ = k.renew(ctx, n, p) // noted and told
		return
	}
	if need.suggestion {
		k.suggest(ctx, n, p)
	}
	if need.staple {
		k.staple(ctx, n)
	}
}

// renew gets a certificate for n: the one that another process got meanwhile, else a
// new one.
func (k *Keeper) renew(ctx context.Context, n *name, p *plan) error {
	err := k.obtain(ctx, n, p)
	if err == nil {
		n.succeed(k.now())
		n.plan(p, k.now())
		k.renewed.Add(1)
		n.mu.Lock()
		leaf, issuer := n.leaf, n.issuer
		n.mu.Unlock()
		k.logger.Info("certificate", zap.String("name", n.name), zap.String("authority", issuer), zap.Time("until", leaf.NotAfter))
		return nil
	}
	if ctx.Err() != nil && n.isGone() {
		return err
	}
	k.failed.Add(1)
	n.fail(k.now(), err)
	n.mu.Lock()
	again := n.retry
	n.mu.Unlock()
	k.logger.Error("no certificate", zap.String("name", n.name), zap.Error(err), zap.Time("again", again))
	return err
}

func (n *name) isGone() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gone
}

// obtain is renew without what is noted.
func (k *Keeper) obtain(ctx context.Context, n *name, p *plan) error {
	if n.source == config.CertificateInternal {
		r, err := k.rootFor(ctx, []string{n.name})
		if err != nil {
			return err
		}
		return k.certified(n, r)
	}
	lock := "name_" + n.name
	if err := k.storage.Lock(ctx, lock); err != nil {
		return err
	}
	defer func() {
		if err := k.storage.Unlock(context.Background(), lock); err != nil {
			k.logger.Warn("a claim can't be given back", zap.Error(err))
		}
	}()
	n.mu.Lock()
	had, forced := n.leaf, n.forced
	n.mu.Unlock()
	err := k.restore(ctx, p, n)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	n.mu.Lock()
	has := n.leaf
	n.mu.Unlock()
	if err == nil && !forced && has != had && renewAt(n.name, has, acme.RenewalInfo{}, p.window).After(k.now()) {
		return nil // somebody else was faster
	}
	t := &trial{proof: p.proofOf(n.name)}
	trying := context.WithValue(ctx, trialKey{}, t)
	if err == nil {
		err = p.config.RenewCertSync(trying, n.name, true)
	} else {
		err = p.config.ObtainCertSync(trying, n.name)
	}
	if err != nil {
		if len(t.failures) > 0 {
			err = errors.Join(t.failures...)
		}
		return err
	}
	if err := k.restore(ctx, p, n); err != nil {
		return fmt.Errorf("read what was got: %w", err)
	}
	return nil
}

// document returns where the certificate of an authority for a domain is stored.
func document(authority, domain string) string {
	return certmagic.StorageKeys.CertsSitePrefix(authority, domain)
}

// restore installs the newest certificate that the store has for n, if it is newer
// than the one that n has. The error is an fs.ErrNotExist when there is none.
func (k *Keeper) restore(ctx context.Context, p *plan, n *name) error {
	var newest *tls.Certificate
	var issuer string
	var renewal acme.RenewalInfo
	for _, a := range p.authorities {
		where := document(a.key, n.name)
		stored, err := k.storage.pair(ctx, where)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		c, err := tls.X509KeyPair(stored.Chain, stored.Key)
		if err == nil {
			err = c.Leaf.VerifyHostname(wildcardHost(n.name))
		}
		if err != nil {
			// What certmagic finds there would keep it from getting another one.
			_ = k.storage.damaged(where, err) // told
			if err := k.storage.store.Delete(ctx, where); err != nil {
				return err
			}
			continue
		}
		if newest == nil || c.Leaf.NotBefore.After(newest.Leaf.NotBefore) {
			newest, issuer, renewal = &c, a.key, renewalOf(stored.Note)
		}
	}
	if newest == nil {
		return fs.ErrNotExist
	}
	n.mu.Lock()
	same := n.leaf != nil && n.leaf.Equal(newest.Leaf)
	n.mu.Unlock()
	if !same {
		n.install(newest, issuer, renewal)
	}
	return nil
}

// wildcardHost returns a host that name's certificate must be good for.
func wildcardHost(name string) string {
	if len(name) > 1 && name[0] == '*' {
		return "x" + name[1:]
	}
	return name
}

// renewalOf returns the renewal time that was stored with a certificate.
func renewalOf(note []byte) acme.RenewalInfo {
	var resource struct {
		Issuer acme.Certificate `json:"issuer_data"`
	}
	if json.Unmarshal(note, &resource) != nil || resource.Issuer.RenewalInfo == nil {
		return acme.RenewalInfo{}
	}
	return *resource.Issuer.RenewalInfo
}

// Pauses before the renewal time is asked for again: when the authority doesn't say,
// when it didn't answer, when it knows nothing of such times.
const (
	askAgain = 6 * time.Hour
	askLater = time.Hour
	askNever = 24 * time.Hour
)

// suggest asks the authority when it would have n's certificate renewed.
func (k *Keeper) suggest(ctx context.Context, n *name, p *plan) {
	n.mu.Lock()
	leaf, issuer := n.leaf, n.issuer
	n.mu.Unlock()
	now := k.now()
	next := now.Add(askNever)
	var got acme.RenewalInfo
	err := errors.ErrUnsupported
	for _, a := range p.authorities {
		if a.key == issuer {
			got, err = a.suggestion(ctx, leaf)
		}
	}
	switch {
	case err == nil && got.RetryAfter != nil:
		next = *got.RetryAfter
		if limit := now.Add(askNever); next.After(limit) {
			next = limit
		}
		if limit := now.Add(longestNap); next.Before(limit) {
			next = limit
		}
	case err == nil:
		next = now.Add(askAgain)
	case !errors.Is(err, acme.ErrUnsupported) && !errors.Is(err, errors.ErrUnsupported):
		next = now.Add(askLater + time.Duration(rand.Int64N(int64(askLater))))
		k.logger.Debug("no renewal time", zap.String("name", n.name), zap.Error(err))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ask = next
	if err != nil || n.leaf != leaf {
		return
	}
	if !got.SameWindow(n.renewal) { // within the same one the time was chosen already
		n.renewal = got
	}
	n.due = renewAt(n.name, leaf, n.renewal, p.window)
}

// Status is what a name has, and what became of the last try to get it.
type Status struct {
	Name   string
	Source string // config.CertificateACME, config.CertificateInternal, or "files"
	Issuer string // the authority's directory in short; "" for files and for nothing yet
	Has    bool   // there is a certificate; else what follows up to Renew is zero

	Serial    string // in hexadecimal digits
	NotBefore time.Time
	NotAfter  time.Time
	Renew     time.Time // when it is to be renewed; zero for files
	Stapled   bool      // clients get the responder's word on it with it
	Revoked   bool      // it was revoked, and is to be replaced
	OnDemand  bool      // somebody asked for it; the configuration doesn't name it

	Tried    time.Time // the last time to get one
	Failures int       // since the last success
	Failure  string    // of the last try, "" if it went well
	Next     time.Time // the next try after a failure
}

// Figures are what there is to tell of all names, for metrics.
type Figures struct {
	Names      []Status // in order of their names
	Demand     DemandFigures
	Paused     []string // why authorities aren't asked just now
	OrdersLeft int      // how many may be placed at once
	Orders     int64    // placed so far
	Got        int64    // certificates that were got, renewed ones included
	Failed     int64    // tries that failed
	Damaged    int64    // stored documents that weren't what was stored
	Unstored   int64    // documents that couldn't be stored
}

// Figures returns current figures.
func (k *Keeper) Figures() Figures {
	f := Figures{Got: k.renewed.Load(), Failed: k.failed.Load(), Demand: k.demand.left()}
	f.OrdersLeft, f.Orders = k.budget.left()
	if k.storage != nil {
		f.Damaged, f.Unstored = k.storage.corrupt.Load(), k.storage.failed.Load()
	}
	k.mu.Lock()
	names, p := sortedNames(k.names), k.plan
	k.mu.Unlock()
	for _, n := range names {
		f.Names = append(f.Names, n.status())
	}
	if p != nil {
		for _, a := range p.authorities {
			if err := a.paused(); err != nil {
				f.Paused = append(f.Paused, err.Error())
			}
		}
	}
	return f
}

func (n *name) status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := Status{Name: n.name, Source: n.source, Issuer: n.issuer, Tried: n.tried, Failures: n.failures, Failure: n.failure, Revoked: n.revoked, OnDemand: n.demand != nil}
	if n.failure != "" {
		s.Next = n.retry
	}
	if n.leaf == nil {
		return s
	}
	s.Has, s.Serial, s.NotBefore, s.NotAfter = true, fmt.Sprintf("%x", n.leaf.SerialNumber), n.leaf.NotBefore, n.leaf.NotAfter
	s.Stapled = len(n.place.certificate.Load().OCSPStaple) > 0
	if n.managed() {
		s.Renew = n.due
	}
	return s
}

// Names returns how many names are to have certificates.
func (k *Keeper) Names() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.names)
}

// Missing says of each name that has no certificate, or one that isn't valid any
// more, why not: for the readiness of the gateway. Without any it is empty.
func (k *Keeper) Missing() []string {
	var all []string
	f := k.Figures()
	now := k.now()
	for _, s := range f.Names {
		if s.OnDemand {
			continue
		}
		what := "no certificate yet"
		if s.Has {
			if now.Before(s.NotAfter) {
				continue
			}
			what = "its certificate ended at " + s.NotAfter.UTC().Format(time.RFC3339)
		}
		if s.Failure != "" {
			what += ": " + s.Failure
		} else if s.Source == config.CertificateACME {
			for _, why := range f.Paused {
				what += ": " + why
			}
		}
		all = append(all, s.Name+": "+what)
	}
	return all
}
