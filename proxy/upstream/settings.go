package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// settings are a backend's options, checked.
type settings struct {
	key         string   // equal for equal settings
	targets     []string // host:port
	tls         *tls.Config
	connect     time.Duration
	idle        time.Duration
	keepAlive   time.Duration
	maxIdle     int
	retries     int
	limits      http1.Limits
	headerBytes int
}

// The defaults of config.Backend, for URLs without one.
const (
	defaultConnect   = 5 * time.Second
	defaultIdle      = 30 * time.Second
	defaultKeepAlive = 50 * time.Second
	defaultMaxIdle   = 64
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
	if o == nil {
		o = &config.Backend{
			ConnectTimeout: config.Duration(defaultConnect), IdleTimeout: config.Duration(defaultIdle),
			MaxIdle: defaultMaxIdle, KeepAlive: config.Duration(defaultKeepAlive), Retries: defaultRetries, Header: defaultHeader,
		}
	}
	s := &settings{
		connect: time.Duration(o.ConnectTimeout), idle: time.Duration(o.IdleTimeout), keepAlive: time.Duration(o.KeepAlive),
		maxIdle: o.MaxIdle, retries: o.Retries, headerBytes: int(o.Header),
		limits: http1.Limits{Line: http1.DefaultLine, Head: int(o.Header), Fields: maxFields},
	}
	for _, t := range o.Targets {
		s.targets = append(s.targets, t.Address)
	}
	if len(s.targets) == 0 {
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		s.targets = []string{net.JoinHostPort(u.Hostname(), port)}
	}
	var ca []byte
	if u.Scheme == "https" {
		if s.tls, ca, err = clientTLS(u.Hostname(), &o.TLS); err != nil {
			return nil, err
		}
	}
	name := ""
	if s.tls != nil {
		name = fmt.Sprintf("%s %d %x", s.tls.ServerName, s.tls.MinVersion, sha256.Sum256(ca))
	}
	s.key = fmt.Sprintf("%s %s %s %v %v %v %d %d %d", u.Scheme, strings.Join(s.targets, ","), name,
		s.connect, s.idle, s.keepAlive, s.maxIdle, s.retries, s.headerBytes)
	return s, nil
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
