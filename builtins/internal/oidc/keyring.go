package oidc

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/jose"
)

const (
	// unknownPeriod is how long after a fetch another one may be begun because of a
	// token. Whoever can reach the gateway can name keys that don't exist: this is the
	// most often that they can have it ask, and how long an issuer that begins to use a
	// key before it publishes it must wait.
	unknownPeriod = 10 * time.Second
	// minFresh is the shortest time between two fetches that an issuer can ask for.
	minFresh = 5 * time.Minute
	// firstDelay and lastDelay are the times between failed fetches.
	firstDelay = time.Second
	lastDelay  = 5 * time.Minute
	// maxTries is how many keys a token is tried with: a set can have several of one
	// name.
	maxTries = 4
)

// The errors of verifying.
var (
	// ErrUnavailable is for a token that can't be judged: there are no keys.
	ErrUnavailable = errors.New("the issuer's keys can't be fetched")
	// ErrUnknownKey is for a token that names a key which the issuer doesn't have.
	ErrUnknownKey = errors.New("no key of the issuer fits the token")
	// ErrSignature is for a token that wasn't signed with the key that it names.
	ErrSignature = errors.New("the signature is wrong")
)

// Keyring has one issuer's keys. Safe for concurrent use.
type Keyring struct {
	source  Source
	fetcher *fetcher // nil for keys that never change
	logger  *zap.Logger

	want    chan struct{} // somebody needs a fetch; one place, as one fetch serves all
	current atomic.Pointer[keySet]

	fetches, failures, unknown atomic.Uint64

	mu       sync.Mutex // guards what follows
	round    chan struct{}
	fetching bool
	ended    time.Time // of the last fetch; zero before
	err      error     // of the last fetch
}

// keySet is what one fetch brought.
type keySet struct {
	keys    jose.Keys
	fetched time.Time
}

// Fixed returns a keyring of keys that never change.
func Fixed(keys jose.Keys) *Keyring {
	r := newKeyring(Source{}, nil, nil)
	r.current.Store(&keySet{keys: keys})
	return r
}

func newKeyring(s Source, f *fetcher, logger *zap.Logger) *Keyring {
	return &Keyring{source: s, fetcher: f, logger: logger, want: make(chan struct{}, 1), round: make(chan struct{})}
}

// Verify checks that t was signed with one of the issuer's keys. A key that isn't
// there yet is fetched, within unknownPeriod of the last fetch not again; then, and
// while there are no keys at all, it waits for the fetch that is under way.
//
// The error is ErrUnavailable, ErrUnknownKey or ErrSignature.
func (r *Keyring) Verify(ctx context.Context, t *jose.Token) error {
	set := r.usable(time.Now())
	if set != nil {
		if err := set.verify(t); err != ErrUnknownKey {
			return err
		}
	}
	if r.refreshed(ctx) {
		set = r.usable(time.Now())
	}
	if set == nil {
		return ErrUnavailable
	}
	err := set.verify(t)
	if err == ErrUnknownKey {
		r.unknown.Add(1)
	}
	return err
}

// usable returns the keys if they may be relied on.
func (r *Keyring) usable(now time.Time) *keySet {
	set := r.current.Load()
	if set == nil || r.fetcher != nil && now.Sub(set.fetched) > r.source.Fresh+r.source.Grace {
		return nil
	}
	return set
}

// verify tries the keys that the token may mean.
func (s *keySet) verify(t *jose.Token) error {
	tries, named := 0, false
	for i := range s.keys {
		k := &s.keys[i]
		if !t.MayBe(k) {
			continue
		}
		if tries++; tries > maxTries {
			break
		}
		if t.SignedBy(k) {
			return nil
		}
		named = named || t.KeyID != "" && t.KeyID == k.ID
	}
	if named {
		return ErrSignature
	}
	return ErrUnknownKey // without names, a new key can't be told from a wrong signature
}

// refreshed has the keys fetched and waits for that, and reports whether it has
// come to an end. It is false at once if the last fetch is too recent.
func (r *Keyring) refreshed(ctx context.Context) bool {
	if r.fetcher == nil {
		return false
	}
	r.mu.Lock()
	round := r.round
	if !r.fetching {
		if !r.ended.IsZero() && time.Since(r.ended) < unknownPeriod {
			r.mu.Unlock()
			return false
		}
		select {
		case r.want <- struct{}{}:
		default: // it is wanted already
		}
	}
	r.mu.Unlock()
	select {
	case <-round:
		return true
	case <-ctx.Done():
		return false
	}
}

// run fetches the keys until ctx ends.
func (r *Keyring) run(ctx context.Context) {
	failed := 0 // times in a row
	for {
		r.mu.Lock()
		r.fetching = true
		select {
		case <-r.want: // this fetch is the one
		default:
		}
		r.mu.Unlock()

		fresh, err := r.fetch(ctx)

		r.mu.Lock()
		r.fetching, r.ended, r.err = false, time.Now(), err
		close(r.round) // those who wait see what came of it
		r.round = make(chan struct{})
		r.mu.Unlock()

		delay := ahead(fresh)
		if err != nil {
			delay = backOff(failed)
			failed++
		} else {
			failed = 0
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-r.want:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// fetch replaces the keys, and returns how long the new ones are fresh. When it
// fails, the old ones stay.
func (r *Keyring) fetch(ctx context.Context) (fresh time.Duration, err error) {
	keys, said, err := r.fetcher.keys(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err() // nobody needs them any more
	}
	r.fetches.Add(1)
	before := r.current.Load()
	if err != nil {
		r.failures.Add(1)
		fields := []zap.Field{zap.String("issuer", r.source.Issuer), zap.Error(err)}
		if before != nil {
			fields = append(fields, zap.Duration("age", time.Since(before.fetched)))
		}
		r.logger.Warn("the keys of a token issuer can't be fetched", fields...)
		return 0, err
	}
	r.current.Store(&keySet{keys: keys, fetched: time.Now()})
	if before == nil || !sameNames(before.keys, keys) {
		r.logger.Info("a token issuer has new keys", zap.String("issuer", r.source.Issuer), zap.Int("keys", len(keys)))
	}
	fresh = r.source.Fresh
	if said > 0 {
		fresh = min(max(said, minFresh), fresh)
	}
	return fresh, nil
}

func sameNames(a, b jose.Keys) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

// ahead is when keys are fetched again: before their time is over, and not at the
// same time as all other gateways do.
func ahead(fresh time.Duration) time.Duration {
	return time.Duration(float64(fresh) * (0.7 + 0.2*rand.Float64()))
}

// backOff is the time before the next try after failed tries before this one.
func backOff(failed int) time.Duration {
	delay := lastDelay
	if failed < 16 {
		delay = min(firstDelay<<failed, lastDelay)
	}
	return delay/2 + rand.N(delay/2)
}

// figures returns what metrics tell at a time.
func (r *Keyring) figures(now time.Time) Figures {
	r.mu.Lock()
	err := r.err
	r.mu.Unlock()
	f := Figures{Issuer: r.source.Issuer, Usable: r.usable(now) != nil, Fetches: r.fetches.Load(), Failures: r.failures.Load(), Unknown: r.unknown.Load(), Err: err}
	if set := r.current.Load(); set != nil {
		f.Keys, f.Age = len(set.keys), now.Sub(set.fetched)
	}
	return f
}
