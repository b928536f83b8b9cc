package snapshot

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// manners are how requests for a domain have to come, and what its replies say of
// that; nil for no rules.
type manners struct {
	strict bool   // the connection was opened for exactly this name
	only13 bool   // with TLS 1.3
	hsts   string // Strict-Transport-Security, "" for none
}

// door says who may come in to an endpoint that isn't for everybody; nil for one
// that is.
type door struct {
	private  bool // else only trusted proxies may
	networks []netip.Prefix
}

// Why a request that came in another way than it had to is refused; for logs.
var (
	ErrPrivate   = errors.New("the endpoint is private")
	ErrAround    = errors.New("the request didn't come through a trusted proxy")
	ErrTLSPolicy = errors.New("the connection doesn't fit the domain's TLS policy")
)

// TLS is how a server has to speak to clients that ask for a name.
type TLS struct {
	Clients *Clients // nil: they aren't asked for certificates
	Policy  string   // name of a TLS policy; "" for the listener's
}

// TLS returns how to speak to a client that asks for serverName (SNI).
func (s *Snapshot) TLS(serverName string) TLS {
	if h := s.hosts.find(strings.TrimSuffix(strings.ToLower(serverName), ".")); h != nil {
		return TLS{h.clients, h.policy}
	}
	return TLS{}
}

// Answers reports whether the snapshot answers to a host, in lower case and without
// its port.
func (s *Snapshot) Answers(host string) bool {
	return s.hosts.find(strings.TrimSuffix(host, ".")) != nil
}

// admit judges how ex came. AWS: "Security policies for REST APIs", "Endpoint access
// mode".
func (m *manners) admit(ex *proxy.Exchange) (f proxy.Fault, ok bool) {
	ex.Domain.HSTS = m.hsts
	session := ex.In.TLS
	switch {
	case m.strict && session == nil:
		return proxy.Fault{Kind: proxy.Forbidden, Cause: ErrCleartext}, false
	case m.strict && session.ServerName != ex.Domain.Name:
		// Differs from AWS, which answers 403: a browser that uses one connection for
		// several names, as HTTP/2 lets it, opens another one on 421. RFC 9110, 15.5.20.
		return proxy.Fault{Kind: proxy.Misdirected, Cause: fmt.Errorf("%w: %q", ErrServerName, session.ServerName)}, false
	case m.only13 && session != nil && session.Version != "TLSv1.3":
		// It was opened for a name with another policy.
		return proxy.Fault{Kind: proxy.Misdirected, Cause: ErrTLSPolicy}, false
	}
	return proxy.Fault{}, true
}

// admit lets a request in, or answers as if nobody were there, but for those who
// come around a CDN.
func (d *door) admit(in *proxy.Request) (f proxy.Fault, ok bool) {
	if !d.private {
		if !in.Trusted {
			return proxy.Fault{Kind: proxy.Forbidden, Cause: ErrAround}, false
		}
		return proxy.Fault{}, true
	}
	if in.Private {
		return proxy.Fault{}, true
	}
	addr := in.Client.Addr().Unmap().WithZone("")
	for _, p := range d.networks {
		if p.Contains(addr) {
			return proxy.Fault{}, true
		}
	}
	return proxy.Fault{Kind: proxy.UnknownAPI, Cause: ErrPrivate}, false
}

// manners builds what the domain called name says of how requests come.
func (c *compiler) manners(name string) *manners {
	d := c.cfg.Domain[name]
	lowest, _ := config.TLSPolicy(d.TLSPolicy)
	m := &manners{strict: d.AccessMode == "strict", only13: lowest == config.TLS13}
	if h := d.HSTS; h != nil {
		m.hsts = "max-age=" + strconv.FormatInt(int64(time.Duration(h.MaxAge)/time.Second), 10)
		if h.IncludeSubdomains {
			m.hsts += "; includeSubDomains"
		}
		if h.Preload {
			m.hsts += "; preload"
		}
	}
	if *m == (manners{}) {
		return nil
	}
	return m
}

// door builds what an endpoint says of who may come in.
func (c *compiler) door(e *config.Endpoint, at []string) *door {
	if e == nil || e.Type == "regional" {
		return nil
	}
	d := &door{private: e.Type == "private"}
	for _, name := range e.Networks {
		for _, text := range c.cfg.Network[name].Prefixes {
			prefix, err := config.ParsePrefix(text)
			if err != nil {
				c.wrong(err, at...)
				continue
			}
			d.networks = append(d.networks, prefix)
		}
	}
	return d
}
