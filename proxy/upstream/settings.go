package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http2"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// settings are a backend's options, checked.
type settings struct {
	key     string // equal for equal settings
	name    string // of the backend, for metrics: its key in the configuration, or its URL
	entries []entry
	each    bool          // each address of a name is a target
	dynamic bool          // what entries stand for changes with what DNS says
	follow  time.Duration // between look-ups

	balance  balance
	hash     *hashKey // for byHash
	refuse   bool     // answer 503 when no target is healthy
	slow     time.Duration
	health   *health // nil: targets aren't asked
	eject    ejection
	requests int // at the same time; 0: no bound
	perOne   int // connections to one target; 0: no bound
	queue    int
	wait     time.Duration // in the queue
	retries  int
	percent  int // of the requests may be tried again
	least    int // tries again a second besides

	tls         *tls.Config
	shown       []byte // SHA-256 of the certificate for targets that ask for one; nil for none
	connect     time.Duration
	idle        time.Duration
	content     time.Duration // all waits for an answer's content; 0: no bound
	keepAlive   time.Duration
	maxIdle     int
	minIdle     int
	limits      http1.Limits
	headerBytes int

	protocol  string       // config.Backend.Protocol
	announces announcement // of clients' addresses
}

// multiplexes reports whether HTTP/2 is spoken.
func (s *settings) multiplexes() bool { return s.protocol == "h2" || s.protocol == "h2c" }

// entry is a target as the configuration has it.
type entry struct {
	address string // host:port, or the name of SRV records
	service bool   // it is such a name
	weight  int
	backup  bool
}

// The defaults of config.Backend, for URLs without one.
const (
	defaultConnect   = 5 * time.Second
	defaultIdle      = 30 * time.Second
	defaultContent   = time.Hour
	defaultKeepAlive = 50 * time.Second
	defaultMaxIdle   = 256
	defaultRetries   = 1
	defaultHeader    = 64 << 10
)

func newSettings(rawURL string, o *config.Backend) (*settings, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("want http://host[:port] or https://host[:port]")
	}
	var shows *config.ClientCertificate
	if o != nil {
		shows = o.Shows()
	}
	if o == nil || o.Bare() {
		o = &config.Backend{
			ConnectTimeout: config.Duration(defaultConnect), IdleTimeout: config.Duration(defaultIdle),
			ContentTimeout: config.Duration(defaultContent),
			MaxIdle:        defaultMaxIdle, KeepAlive: config.Duration(defaultKeepAlive), Retries: defaultRetries, Header: defaultHeader,
		}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	address := net.JoinHostPort(u.Hostname(), port)
	s := &settings{
		name: o.Name(), follow: time.Duration(o.ResolveInterval),
		refuse: o.AllDown == "refuse", slow: time.Duration(o.SlowStart),
		requests: o.MaxRequests, perOne: o.MaxConnections, queue: o.Queue, wait: time.Duration(o.QueueTimeout),
		retries: o.Retries, percent: o.RetryBudget, least: o.RetryMinimum,
		connect: time.Duration(o.ConnectTimeout), idle: time.Duration(o.IdleTimeout), content: time.Duration(o.ContentTimeout), keepAlive: time.Duration(o.KeepAlive),
		maxIdle: o.MaxIdle, minIdle: o.MinIdle, headerBytes: int(o.Header),
		limits:   http1.Limits{Line: http1.DefaultLine, Head: int(o.Header), Fields: maxFields},
		protocol: o.Protocol, announces: announcementOf(o.ProxyProtocol),
	}
	if s.name == "" {
		s.name = u.Scheme + "://" + address
	}
	s.setTargets(o, address)
	if err := s.setPolicies(o); err != nil {
		return nil, err
	}
	if s.protocol == "h2" && u.Scheme != "https" || s.protocol == "h2c" && u.Scheme != "http" {
		return nil, fmt.Errorf("protocol %q doesn't go with %s://", s.protocol, u.Scheme)
	}
	var ca []byte
	if u.Scheme == "https" {
		if s.tls, ca, err = clientTLS(u.Hostname(), &o.TLS); err != nil {
			return nil, err
		}
		if s.shown, err = show(s.tls, shows); err != nil {
			return nil, err
		}
		if s.multiplexes() {
			s.tls.NextProtos = []string{http2.NextProtoTLS}
		}
	}
	s.setKey(u.Scheme, ca, o)
	return s, nil
}

// setTargets takes over o's targets; address is that of the URL.
func (s *settings) setTargets(o *config.Backend, address string) {
	targets := o.Targets
	if len(targets) == 0 {
		targets = []config.Target{{Address: address, Weight: 1}}
	}
	s.each = o.Resolve == "all"
	for _, t := range targets {
		e := entry{weight: max(1, t.Weight), backup: t.Backup}
		e.address, e.service = strings.CutPrefix(t.Address, config.SRV)
		host, _, _ := net.SplitHostPort(e.address)
		_, notAddress := netip.ParseAddr(host)
		if e.service || s.each && notAddress != nil {
			s.dynamic = true
		}
		s.entries = append(s.entries, e)
	}
}

// setPolicies takes over how o balances and judges targets.
func (s *settings) setPolicies(o *config.Backend) (err error) {
	switch o.Balance {
	case "", "round_robin":
	case "least_requests":
		s.balance = byLoad
	case "hash":
		s.balance = byHash
		if s.hash, err = parseHashKey(o.Hash); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no balance %q", o.Balance)
	}
	e := &o.Eject
	s.eject = ejection{failures: e.Failures, time: time.Duration(e.Time), longest: time.Duration(e.MaxTime), percent: e.MaxPercent}
	if s.eject.status, err = parseStatuses(e.Status); err != nil {
		return err
	}
	// With one target there is nobody to take over.
	if !s.dynamic && len(s.entries) == 1 && e.MaxPercent < 100 {
		s.eject.failures = 0
	}
	h := o.Health
	if h == nil {
		return nil
	}
	s.health = &health{
		path: h.Path, host: h.Host, interval: time.Duration(h.Interval), timeout: time.Duration(h.Timeout), rise: h.Healthy, fall: h.Unhealthy,
	}
	s.health.status, err = parseStatuses(h.Status)
	return err
}

// setKey makes the key: whatever changes it makes another backend.
func (s *settings) setKey(scheme string, ca []byte, o *config.Backend) {
	name := ""
	if s.tls != nil {
		name = fmt.Sprintf("%s %d %x %x", s.tls.ServerName, s.tls.MinVersion, sha256.Sum256(ca), s.shown)
	}
	rest := *o
	rest.Targets, rest.TLS = nil, config.BackendTLS{}
	// JSON follows the pointers of the rest, and has all keys in it.
	text, err := json.Marshal(rest)
	if err != nil {
		panic(err) // it is made of numbers and strings
	}
	s.key = fmt.Sprintf("%s %s %v %s %s", scheme, s.name, s.entries, name, text)
}

// show makes cfg show a certificate to whoever asks for one, and returns its digest.
// It is shown whatever authorities the target names: AWS's are signed by themselves,
// and a target that trusts one need not name it.
func show(cfg *tls.Config, c *config.ClientCertificate) (digest []byte, err error) {
	if c == nil {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.KeyFile())
	if err != nil {
		return nil, fmt.Errorf("client certificate %s: %w", c.Cert, err)
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	h := sha256.New()
	for _, der := range pair.Certificate {
		h.Write(der)
	}
	return h.Sum(nil), nil
}

// maxFields is how many header lines an answer may have.
const maxFields = 1000

// clientTLS returns the TLS settings for host, and the trusted roots as read.
func clientTLS(host string, o *config.BackendTLS) (cfg *tls.Config, ca []byte, err error) {
	cfg = &tls.Config{
		ServerName: host,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		// Sessions are resumed, so that a new connection costs one round trip less.
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}
	if o.ServerName != "" {
		cfg.ServerName = o.ServerName
	}
	if o.MinVersion == "1.3" {
		cfg.MinVersion = tls.VersionTLS13
	}
	if o.CA == "" {
		return cfg, nil, nil
	}
	if ca, err = os.ReadFile(o.CA); err != nil {
		return nil, nil, fmt.Errorf("read the CA file: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(ca) {
		return nil, nil, fmt.Errorf("CA file %s holds no PEM certificate", o.CA)
	}
	return cfg, ca, nil
}
