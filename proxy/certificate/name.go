package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/postern-gateway/postern/proxy/config"
)

// name is a domain that has a certificate, or is to get one.
type name struct {
	name   string
	source string
	place  place
	demand *demanded // nil for names of the configuration

	mu       sync.Mutex // guards what follows
	leaf     *x509.Certificate
	issuer   string // the authority's key
	renewal  acme.RenewalInfo
	foreign  bool      // what it has is of an authority that isn't asked any more
	revoked  bool      // what it has isn't good any more
	forced   bool      // somebody wants another one
	retry    time.Time // not before this, after a failure
	failures int       // in a row
	tried    time.Time
	failure  string    // of the last try
	ask      time.Time // when to ask for the renewal time again
	staple   time.Time // when to ask for the next staple
	due      time.Time // when to renew
	visited  bool      // just now
	stop     context.CancelFunc
	gone     bool
}

func newName(domain, source string) *name { return &name{name: domain, source: source} }

// managed reports whether the name's certificates are got or made here.
func (n *name) managed() bool {
	return n.source == config.CertificateACME || n.source == config.CertificateInternal
}

// drop ends what is under way for a name that isn't served any more.
func (n *name) drop() {
	n.mu.Lock()
	n.gone = true
	if n.stop != nil {
		n.stop()
	}
	n.mu.Unlock()
}

// serves reports whether c is what the name has.
func (n *name) serves(c *tls.Certificate) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.source == sourceFiles && n.leaf != nil && bytes.Equal(n.leaf.Raw, c.Leaf.Raw) && slices.EqualFunc(n.place.certificate.Load().Certificate, c.Certificate, bytes.Equal)
}

// install makes c what is served.
func (n *name) install(c *tls.Certificate, issuer string, renewal acme.RenewalInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leaf, n.issuer, n.renewal = c.Leaf, issuer, renewal
	n.foreign, n.revoked = false, false
	n.ask, n.staple = time.Time{}, time.Time{}
	if renewal.RetryAfter != nil {
		n.ask = *renewal.RetryAfter
	}
	n.place.certificate.Store(c)
}

// plan sets when the name is renewed, as p has it.
func (n *name) plan(p *plan, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leaf == nil || n.source != config.CertificateACME {
		return
	}
	n.foreign = !slices.ContainsFunc(p.authorities, func(a *authority) bool { return a.key == n.issuer })
	n.due = renewAt(n.name, n.leaf, n.renewal, p.window)
	if n.ask.IsZero() { // thousands don't ask at once
		n.ask = now.Add(time.Duration(rand.Int64N(int64(askSpread))))
	}
}

// askSpread is the time in which names ask for their renewal times after a start.
const askSpread = 30 * time.Minute

// leastRest is what is left at least of a life when the renewal begins, of a short
// one a third: enough for some tries.
const leastRest = time.Hour

// renewAt returns when to renew leaf: when the authority suggests, else in the last
// part of its life. Certificates that were got together aren't renewed together.
// Near the end no suggestion counts any more.
func renewAt(domain string, leaf *x509.Certificate, suggested acme.RenewalInfo, window float64) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	last := leaf.NotAfter.Add(-max(life/20, min(life/3, leastRest)))
	if at := suggested.SelectedTime; suggested.HasWindow() && !at.IsZero() {
		if at.After(last) {
			return last
		}
		return at
	}
	part := time.Duration(float64(life) * window)
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(domain)) // never fails
	spread := time.Duration(float64(part/10) * float64(sum.Sum32()) / (1 << 32))
	return leaf.NotAfter.Add(-part + spread)
}

// needs is what a name is visited for.
type needs struct{ certificate, suggestion, staple bool }

// needsAt returns what the name needs at now, and when it will need something next.
func (n *name) needsAt(now time.Time) (needs, time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all needs
	next := now.Add(time.Hour)
	if n.visited {
		return all, next
	}
	later := func(at time.Time, need *bool) {
		if !at.After(now) {
			*need = true
		} else if at.Before(next) {
			next = at
		}
	}
	if n.managed() {
		at := n.due
		if n.leaf == nil || n.foreign || n.revoked || n.forced {
			at = time.Time{}
		}
		if n.retry.After(at) {
			at = n.retry
		}
		later(at, &all.certificate)
		if n.leaf != nil && n.source == config.CertificateACME {
			later(n.ask, &all.suggestion)
		}
	}
	if n.leaf != nil && len(n.leaf.OCSPServer) > 0 {
		later(n.staple, &all.staple)
	}
	return all, next
}

// Pauses after a failure to get a certificate: the first, three times as long with
// each further one. So an authority sees five tries in the first hour: Let's Encrypt
// allows for five failed validations of a name.
const (
	firstRetry = time.Minute
	lastRetry  = 6 * time.Hour
)

// fail notes that no certificate could be got.
func (n *name) fail(now time.Time, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failure, n.tried = strings.ReplaceAll(err.Error(), "\n", "; "), now
	pause := firstRetry
	for range min(n.failures, 10) {
		pause = min(3*pause, lastRetry)
	}
	var paused *pausedError
	if errors.As(err, &paused) {
		// It is no fault of the name's. They come back one after the other.
		n.retry = paused.until.Add(time.Duration(rand.Int64N(int64(time.Second))))
		return
	}
	n.failures++
	if limited := (*limitedError)(nil); errors.As(err, &limited) {
		n.retry = limited.until.Add(time.Duration(rand.Int64N(int64(time.Minute))))
		return
	}
	n.retry = now.Add(pause + time.Duration(rand.Int64N(int64(pause/10))))
}

// hope forgets that tries failed: whoever is asked now may do better.
func (n *name) hope() {
	n.mu.Lock()
	n.failures, n.retry = 0, time.Time{}
	n.mu.Unlock()
}

// succeed notes that there is a new certificate.
func (n *name) succeed(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failure, n.tried, n.failures, n.retry, n.forced = "", now, 0, time.Time{}, false
}
