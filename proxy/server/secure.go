package server

import (
	"crypto/tls"
	"fmt"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

// newTLS returns how TLS is spoken with clients that can do what policy asks for;
// config has checked its name. Tickets for resumption are sealed with the keys of
// tickets, which makes a new one each day and forgets those of a week ago: it
// outlives configurations, so that a reload doesn't cost clients their sessions.
func newTLS(policy string, alpn []string, tickets *tls.Config) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: alpn, WrapSession: tickets.EncryptTicket, UnwrapSession: tickets.DecryptTicket}
	if lowest, _ := config.TLSPolicy(policy); lowest == config.TLS13 {
		cfg.MinVersion = tls.VersionTLS13
	}
	// RFC 9325, 4.2: forward secrecy and authenticated encryption. They count for
	// TLS 1.2 only. crypto/tls decides about their order, and prefers hybrid
	// post-quantum key exchange (X25519MLKEM768) with clients that have it.
	cfg.CipherSuites = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	return cfg
}

// serverTLS loads the certificates. RFC 6066, 3 (SNI).
func serverTLS(c *config.ListenTLS, alpn []string, tickets *tls.Config) (*tls.Config, error) {
	cfg := newTLS(c.Policy, alpn, tickets)
	for _, pair := range c.Certificates {
		certificate, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", pair.Cert, pair.Key, err)
		}
		cfg.Certificates = append(cfg.Certificates, certificate)
	}
	return cfg, nil
}

// tlsFor returns how to speak to a client that asks for serverName; nil for the
// listener's own way.
//
// Which certificates are good is judged for each request, and not here: then it
// holds for sessions that are resumed, and for those that are older than the
// configuration. Tickets are sealed with keys of the domain's own nevertheless, so
// that a session that was begun without a certificate, or under another name, isn't
// resumed for this one.
func (s *settings) tlsFor(snap *snapshot.Snapshot, serverName string) *tls.Config {
	if snap == nil {
		return nil
	}
	how := snap.TLS(serverName)
	if how == (snapshot.TLS{}) {
		return nil
	}
	if made, found := s.ways.Load(how); found {
		return made.(*tls.Config)
	}
	policy := how.Policy
	if policy == "" {
		policy = s.policy
	}
	cfg := newTLS(policy, s.tls.NextProtos, s.tickets)
	cfg.Certificates, cfg.GetCertificate = s.tls.Certificates, s.tls.GetCertificate
	if how.Clients != nil {
		cfg.ClientAuth = tls.RequestClientCert
		if how.Clients.Required {
			cfg.ClientAuth = tls.RequireAnyClientCert
		}
		cfg.WrapSession = cfg.EncryptTicket // with cfg's keys, which it renews every day
		cfg.UnwrapSession = cfg.DecryptTicket
	}
	made, _ := s.ways.LoadOrStore(how, cfg)
	return made.(*tls.Config)
}
