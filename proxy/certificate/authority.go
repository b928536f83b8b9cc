package certificate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
)

// authority gets certificates from one CA by ACME. Unlike certmagic's own issuer it
// opens no sockets, keeps to a budget, and has no settings outside of itself.
type authority struct {
	name     string
	key      string // in storage
	rootsSum string // of the file with roots
	email    string
	eab      *acme.EAB
	zerossl  bool // the account's binding comes with the e-mail address
	profile  string
	client   *acmez.Client
	traffic  *traffic
	accounts *accounts
	leaf     func(key, name string) *x509.Certificate // what an order replaces
	now      func() time.Time
	logger   *zap.Logger

	mu     sync.Mutex // guards what follows
	until  time.Time  // it isn't asked before
	misses int        // times in a row that it didn't answer
	cause  string     // of the pause
}

// knownDirectories are where authorities of the public are.
var knownDirectories = map[string]string{
	"letsencrypt":         certmagic.LetsEncryptProductionCA,
	"letsencrypt-staging": certmagic.LetsEncryptStagingCA,
	"zerossl":             certmagic.ZeroSSLProductionCA,
}

// newAuthority returns the authority called name of a.
func newAuthority(name string, a *config.ACME, k *Keeper) (*authority, error) {
	c := a.Issuer[name]
	directory := c.Directory
	if directory == "" {
		directory = knownDirectories[name]
	}
	roots, sum, err := rootsOf(c.Roots)
	if err != nil {
		return nil, &config.KeyError{Path: []string{"roots"}, Text: err.Error()}
	}
	email := c.Email
	if email == "" {
		email = a.Email
	}
	traffic := &traffic{budget: k.budget, now: k.now, transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTime}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   connectTime,
		ResponseHeaderTimeout: answerTime,
		IdleConnTimeout:       time.Minute,
		MaxConnsPerHost:       workers,
		ForceAttemptHTTP2:     true,
	}}
	client := &acmez.Client{
		Client: &acme.Client{
			Directory: directory, UserAgent: "postern", HTTPClient: &http.Client{Transport: traffic}, PollTimeout: pollTime,
		},
		ChallengeSolvers: k.solvers(a),
	}
	au := &authority{
		name: name, key: authorityKey(directory), rootsSum: sum, email: strings.ToLower(email), client: client, traffic: traffic,
		profile: c.Profile, accounts: &accounts{storage: k.storage}, leaf: k.leafOf, now: k.now, logger: k.logger.With(zap.String("authority", name)),
	}
	if c.EAB != nil {
		au.eab = &acme.EAB{KeyID: c.EAB.KeyID, MACKey: strings.TrimRight(c.EAB.Key, "=")}
	}
	au.zerossl = directory == certmagic.ZeroSSLProductionCA && c.EAB == nil
	return au, nil
}

// Patience with an authority: to connect, for the beginning of an answer and then for
// all of it, and for the outcome of a challenge or an order.
const (
	connectTime = 15 * time.Second
	answerTime  = 30 * time.Second
	pollTime    = 2 * time.Minute
)

// rootsOf reads a file of roots and returns its checksum, too; nil, the system's,
// without a name.
func rootsOf(file string) (*x509.CertPool, string, error) {
	if file == "" {
		return nil, "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, "", err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, "", errors.New("there is no certificate in it")
	}
	sum := sha256.Sum256(text)
	return pool, hex.EncodeToString(sum[:]), nil
}

// close ends connections that nobody uses.
func (a *authority) close() {
	if t, ok := a.traffic.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// authorityKey returns a directory's name in storage, which tells hosts, ports and
// paths apart.
func authorityKey(directory string) string {
	u, err := url.Parse(directory)
	if err != nil {
		return certmagic.StorageKeys.Safe(directory)
	}
	path := strings.ReplaceAll(strings.Trim(u.Path, "/"), "/", "-")
	return certmagic.StorageKeys.Safe(strings.TrimSuffix(u.Host+"-"+path, "-"))
}

// IssuerKey implements certmagic.Issuer.
func (a *authority) IssuerKey() string { return a.key }

// Issue implements certmagic.Issuer.
func (a *authority) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	err := a.paused()
	var chain acme.Certificate
	if err == nil {
		if chain, err = a.order(ctx, csr); err != nil {
			err = a.judge(ctx, strings.Join(csr.DNSNames, " "), err)
		}
	}
	if err != nil {
		if t, _ := ctx.Value(trialKey{}).(*trial); t != nil {
			t.failures = append(t.failures, err)
		}
		return nil, err
	}
	a.answered()
	return &certmagic.IssuedCertificate{Certificate: chain.ChainPEM, Metadata: chain}, nil
}

// trialKey is the key of a context's *trial.
type trialKey struct{}

// trial is one attempt to get a certificate: what each authority said. certmagic
// returns only what the last one did.
type trial struct {
	proof    proof
	failures []error
}

// prover returns the client for an attempt, which answers as the name wants it.
func (a *authority) prover(ctx context.Context) *acmez.Client {
	t, _ := ctx.Value(trialKey{}).(*trial)
	if t == nil || t.proof.records == nil {
		return a.client
	}
	solvers := map[string]acmez.Solver{}
	if !t.proof.only {
		maps.Copy(solvers, a.client.ChallengeSolvers)
	}
	solvers[acme.ChallengeTypeDNS01] = t.proof.records
	return &acmez.Client{Client: a.client.Client, ChallengeSolvers: solvers}
}

// order places an order and sees it through.
func (a *authority) order(ctx context.Context, csr *x509.CertificateRequest) (acme.Certificate, error) {
	// The directory first: without it there is no order to take from the budget.
	directory, err := a.client.GetDirectory(ctx)
	if err != nil {
		return acme.Certificate{}, err
	}
	a.traffic.orders.Store(&directory.NewOrder)
	account, err := a.account(ctx)
	if err != nil {
		return acme.Certificate{}, err
	}
	var replaced *x509.Certificate
	if len(csr.DNSNames) == 1 && directory.RenewalInfo != "" {
		replaced = a.leaf(a.key, csr.DNSNames[0])
	}
	for known := true; ; {
		p, err := acmez.OrderParametersFromCSR(account, csr)
		if err != nil {
			return acme.Certificate{}, err
		}
		p.Profile, p.Replaces = a.profile, replaced
		placed := new(atomic.Bool)
		chains, err := a.prover(ctx).ObtainCertificate(context.WithValue(ctx, placedKey{}, placed), p)
		var problem acme.Problem
		isProblem := errors.As(err, &problem)
		switch {
		case known && isProblem && problem.Type == acme.ProblemTypeAccountDoesNotExist:
			// The authority began anew: so does the account.
			known = false
			if err := a.accounts.drop(ctx, a); err != nil {
				return acme.Certificate{}, err
			}
			if account, err = a.account(ctx); err != nil {
				return acme.Certificate{}, err
			}
			continue
		case replaced != nil && isProblem && !placed.Load() && !overrun(problem):
			// What the order replaces is a courtesy, and the authority may not know it
			// any more: no certificate is to run out for that. RFC 9773, 5.
			a.logger.Warn("order without naming what it replaces", zap.Strings("names", csr.DNSNames), zap.Error(err))
			replaced = nil
			continue
		}
		if err != nil {
			return acme.Certificate{}, err
		}
		if len(chains) == 0 {
			return acme.Certificate{}, errors.New("the authority sent no certificate")
		}
		return chains[0], nil
	}
}

// placedKey is the key of a context's *atomic.Bool: whether its order was taken.
type placedKey struct{}

// overrun reports whether the authority refuses for its own state, which no other
// order would change.
func overrun(p acme.Problem) bool {
	return p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable || p.Type == acme.ProblemTypeRateLimited
}

// suggestion returns when the authority would have leaf renewed. RFC 9773.
func (a *authority) suggestion(ctx context.Context, leaf *x509.Certificate) (acme.RenewalInfo, error) {
	if err := a.paused(); err != nil {
		return acme.RenewalInfo{}, err
	}
	return a.client.GetRenewalInfo(ctx, leaf)
}

// Revoke implements certmagic.Revoker.
func (a *authority) Revoke(ctx context.Context, c certmagic.CertificateResource, reason int) error {
	pair, err := tls.X509KeyPair(c.CertificatePEM, c.PrivateKeyPEM)
	if err != nil {
		return err
	}
	account, err := a.account(ctx)
	if err != nil {
		return err
	}
	return a.client.RevokeCertificate(ctx, account, pair.Leaf, account.PrivateKey, reason)
}

// pausedError is the error of an authority that isn't asked just now.
type pausedError struct {
	name  string
	until time.Time
}

func (e *pausedError) Error() string {
	return fmt.Sprintf("authority %s isn't asked before %s", e.name, e.until.UTC().Format(time.RFC3339))
}

// paused returns an error while the authority isn't to be asked.
func (a *authority) paused() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now().Before(a.until) {
		return &pausedError{a.name, a.until}
	}
	return nil
}

func (a *authority) answered() {
	a.mu.Lock()
	a.misses, a.until = 0, time.Time{}
	a.mu.Unlock()
}

// Pauses after an authority that didn't answer, or had no time for us: the first is
// doubled with each further one.
const (
	firstPause = 5 * time.Second
	lastPause  = 10 * time.Minute
	longPause  = 24 * time.Hour // of those that it asks for itself
)

// judge looks at what an order failed with. When it wasn't about the order but the
// authority's state, nobody asks it for a while: neither those names whose turn it
// would be next, nor this one again.
func (a *authority) judge(ctx context.Context, name string, err error) error {
	err = fmt.Errorf("authority %s: %w", a.name, err)
	if ctx.Err() != nil {
		return err
	}
	pause, asked := a.traffic.takePause()
	var problem acme.Problem
	isProblem := errors.As(err, &problem)
	busy := isProblem && (problem.Status == http.StatusTooManyRequests || problem.Status >= 500 || problem.Type == acme.ProblemTypeRateLimited)
	if asked && isProblem && problem.Status == http.StatusTooManyRequests && concerns(problem.Detail, name) {
		return errors.Join(err, &limitedError{name, a.now().Add(min(pause, longPause))})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case asked && (busy || !isProblem):
		a.until = a.now().Add(min(pause, longPause))
	case busy, !isProblem && unreachable(err):
		a.until = a.now().Add(min(firstPause<<min(a.misses, 10), lastPause))
		a.misses++
	default:
		a.misses = 0
		return err
	}
	a.cause = err.Error()
	return errors.Join(err, &pausedError{a.name, a.until})
}

// limitedError is the error of an order that would be too many for one name, or for
// those of one domain; other names aren't concerned.
type limitedError struct {
	name  string
	until time.Time
}

func (e *limitedError) Error() string {
	return fmt.Sprintf("no orders for %s before %s", e.name, e.until.UTC().Format(time.RFC3339))
}

// concerns reports whether the reason for a limit is about name and its like, and not
// about all that we order: it quotes the name or a domain above it, or speaks of its
// certificates. Source: Let's Encrypt's documentation, "Rate Limits".
func concerns(detail, name string) bool {
	if strings.Contains(detail, "exact set of") {
		return true
	}
	for domain := strings.TrimPrefix(name, "*."); strings.Contains(domain, "."); _, domain, _ = strings.Cut(domain, ".") {
		if strings.Contains(detail, strconv.Quote(domain)) {
			return true
		}
	}
	return false
}

// unreachable reports whether err is the network's.
func unreachable(err error) bool {
	var problem *url.Error
	return errors.As(err, &problem)
}

// traffic is what goes to an authority and comes back.
type traffic struct {
	transport http.RoundTripper
	budget    *budget
	now       func() time.Time
	orders    atomic.Pointer[string] // where orders are placed

	mu    sync.Mutex // guards what follows
	pause time.Duration
	asked bool
}

// maxAnswer bounds an authority's answers, in bytes.
const maxAnswer = 1 << 20

// RoundTrip implements http.RoundTripper.
func (t *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	where := t.orders.Load()
	order := where != nil && r.Method == http.MethodPost && r.URL.String() == *where
	if order {
		if err := t.budget.take(r.Context()); err != nil {
			return nil, err
		}
	}
	answer, err := t.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	content := newTimely(answer.Body, answerTime)
	answer.Body = bounded{io.LimitReader(content, maxAnswer), content}
	if placed, _ := r.Context().Value(placedKey{}).(*atomic.Bool); order && placed != nil && answer.StatusCode < 400 {
		placed.Store(true)
	}
	if order && answer.StatusCode == http.StatusBadRequest && answer.Header.Get("Replay-Nonce") != "" {
		t.nonce(answer)
	}
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable {
		t.note(answer.Header.Get("Retry-After"))
	}
	return answer, nil
}

// bounded is a body of which only so much can be read.
type bounded struct {
	io.Reader
	io.Closer
}

// nonce takes an order back from the budget that was refused for its nonce alone.
// RFC 8555, 6.5.
func (t *traffic) nonce(answer *http.Response) {
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // all of it is read
	answer.Body = bounded{strings.NewReader(string(text)), io.NopCloser(nil)}
	if err == nil && strings.Contains(string(text), acme.ProblemTypeBadNonce) {
		t.budget.back()
	}
}

// note keeps how long the authority wants to be left alone. RFC 9110, 10.2.3.
func (t *traffic) note(retryAfter string) {
	var pause time.Duration
	if seconds, err := strconv.Atoi(retryAfter); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		pause = at.Sub(t.now())
	}
	if pause <= 0 {
		return
	}
	t.mu.Lock()
	t.pause, t.asked = pause, true
	t.mu.Unlock()
}

// takePause returns the newest wish to be left alone, once.
func (t *traffic) takePause() (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pause, asked := t.pause, t.asked
	t.pause, t.asked = 0, false
	return pause, asked
}

var (
	_ certmagic.Issuer  = (*authority)(nil)
	_ certmagic.Revoker = (*authority)(nil)
)
