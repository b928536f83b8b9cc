// Package oidc has the keys of token issuers: it finds out where an issuer
// publishes them, fetches them, and keeps them fresh, whatever the issuer does.
//
// OpenID Connect Discovery 1.0; RFC 8414; RFC 7517.
package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options are what the fetching of all issuers' keys has in common.
type Options struct {
	Logger *zap.Logger // nil logs nothing
	// Dial replaces how connections are made, and with it the guard against private
	// addresses. Nil dials.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Source says where an issuer's keys come from. Two equal ones share their keys.
type Source struct {
	Issuer  string        // its URL; what the discovery document must say too
	KeysURL string        // of the JWK set; "" asks the discovery document
	CA      string        // certificates as PEM besides the system's; "" for none
	Private bool          // it may be on this host or in its networks, where it may also be without TLS
	Timeout time.Duration // of each of the two fetches; above 0
	Fresh   time.Duration // how long keys count without being fetched again; above 0
	Grace   time.Duration // how much longer they count while they can't be fetched
}

// plain reports whether something is fetched without TLS.
func (s *Source) plain() bool {
	return strings.HasPrefix(s.Issuer, "http:") && s.KeysURL == "" || strings.HasPrefix(s.KeysURL, "http:")
}

// Issuers has the keys of every issuer that is in use. It outlives configurations;
// safe for concurrent use.
type Issuers struct {
	options Options
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex // guards what follows
	used map[Source]*use
}

// use is a keyring with the number of those who use it.
type use struct {
	ring  *Keyring
	users int
	stop  context.CancelFunc
}

// New returns one that knows nobody yet.
func New(o Options) *Issuers {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Issuers{options: o, ctx: ctx, stop: stop, used: map[Source]*use{}}
}

// The errors of Use.
var (
	ErrCA    = errors.New("there is no certificate as PEM")
	ErrURL   = errors.New("it isn't the URL of a server, without a user")
	ErrPlain = errors.New("without TLS, anybody on the way could give his keys for the issuer's")
)

// Use returns the keys of an issuer, which begin to be fetched with the first user
// and stop being fetched with the last. Release is called once, by a user that is
// done with them. The error is ErrCA, ErrURL or ErrPlain. On nil, which is for checking
// configurations, there are no keys.
func (is *Issuers) Use(s Source) (ring *Keyring, release func(), err error) {
	roots, err := authorities(s.CA)
	if err != nil {
		return nil, nil, err
	}
	for _, text := range []string{s.Issuer, s.KeysURL} {
		if u, err := url.Parse(text); text != "" && (err != nil || u.Hostname() == "" || u.User != nil) {
			return nil, nil, fmt.Errorf("%w: %q", ErrURL, text)
		}
	}
	if s.plain() && !s.Private {
		return nil, nil, ErrPlain
	}
	if is == nil {
		return Fixed(nil), func() {}, nil
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	u := is.used[s]
	if u == nil {
		ctx, stop := context.WithCancel(is.ctx)
		u = &use{ring: newKeyring(s, newFetcher(s, roots, is.options.Dial), is.options.Logger), stop: stop}
		is.used[s] = u
		is.running.Go(func() { u.ring.run(ctx) })
	}
	u.users++
	return u.ring, sync.OnceFunc(func() { is.release(s, u) }), nil
}

func (is *Issuers) release(s Source, u *use) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if u.users--; u.users == 0 {
		u.stop()
		delete(is.used, s)
	}
}

// Close ends all fetching and waits for its end.
func (is *Issuers) Close() {
	is.stop()
	is.running.Wait()
}

// Figures are what metrics tell of one issuer.
type Figures struct {
	Issuer   string
	Keys     int
	Age      time.Duration // since the keys were fetched; 0 without keys
	Usable   bool          // the keys count: they are there and not too old
	Fetches  uint64        // so far
	Failures uint64        // of these, those that failed
	Unknown  uint64        // tokens so far that named a key which the issuer doesn't have
	Err      error         // what the last fetch failed with; nil if it didn't
}

// Figures returns those of all issuers, in the order of their names. Where one is
// reached in several ways, the worst of them counts.
func (is *Issuers) Figures() []Figures {
	is.mu.Lock()
	defer is.mu.Unlock()
	now := time.Now()
	worst := map[string]Figures{}
	for _, u := range is.used {
		f := u.ring.figures(now)
		if other, found := worst[f.Issuer]; found {
			f = f.and(other)
		}
		worst[f.Issuer] = f
	}
	return slices.SortedFunc(maps.Values(worst), func(a, b Figures) int { return strings.Compare(a.Issuer, b.Issuer) })
}

func (f Figures) and(other Figures) Figures {
	f.Keys, f.Age, f.Usable = min(f.Keys, other.Keys), max(f.Age, other.Age), f.Usable && other.Usable
	f.Fetches, f.Failures, f.Unknown = f.Fetches+other.Fetches, f.Failures+other.Failures, f.Unknown+other.Unknown
	f.Err = cmp.Or(f.Err, other.Err)
	return f
}
