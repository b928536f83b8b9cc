package snapshot

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/truststore"
)

// Clients says which certificates of clients a domain accepts. It never changes;
// safe for concurrent use.
type Clients struct {
	store *truststore.Store
	// Required says that nobody comes in without a certificate.
	Required bool
}

// Why a domain that asks for certificates refuses a request; for logs.
var (
	ErrCleartext  = errors.New("the domain asks for certificates, and the request came without TLS")
	ErrServerName = errors.New("the connection was opened for another name")
)

// admit lets ex in, with the certificate that its connection's client showed, or
// says why not. The certificate is judged once for each connection and
// configuration, however the session came to be: a session that was resumed, or
// that is older than the configuration, is judged like a new one.
func (c *Clients) admit(ex *proxy.Exchange) (f proxy.Fault, ok bool) {
	session := ex.In.TLS
	if session == nil {
		if c.Required {
			return proxy.Fault{Kind: proxy.Forbidden, Cause: ErrCleartext}, false
		}
		return proxy.Fault{}, true
	}
	// RFC 9110, 7.4. Another name's connection was judged by another name's rules, and
	// HTTP/2 clients use a connection for all names that its certificate has.
	if session.ServerName != ex.Domain.Name {
		return proxy.Fault{Kind: proxy.Misdirected, Cause: fmt.Errorf("%w: %q", ErrServerName, session.ServerName)}, false
	}
	j := session.Judged(c, ex.Start, func() *proxy.Judgement { return c.judge(session.Shown, ex.Start) })
	if j.Err != nil {
		return proxy.Fault{Kind: proxy.Forbidden, Cause: j.Err}, false
	}
	ex.Domain.Certificate = j.Certificate
	return proxy.Fault{}, true
}

// judge judges what a client showed.
func (c *Clients) judge(shown []*x509.Certificate, now time.Time) *proxy.Judgement {
	j := &proxy.Judgement{By: c}
	if len(shown) == 0 && !c.Required {
		return j
	}
	if j.Until, j.Err = c.store.Verify(shown, now); j.Err != nil {
		j.Err = fmt.Errorf("client certificate: %w", j.Err)
		return j
	}
	own := shown[0]
	digest := sha256.Sum256(own.Raw)
	j.Certificate = &proxy.ClientCertificate{
		PEM: truststore.PEM(own), Subject: truststore.Subject(own), Issuer: truststore.Issuer(own), Serial: truststore.Serial(own),
		NotBefore: truststore.Date(own.NotBefore), NotAfter: truststore.Date(own.NotAfter), Digest: string(digest[:]),
	}
	return j
}

// clients builds what the domain called name, lower in lower case and without
// "*.", says of clients' certificates; nil for nothing.
func (c *compiler) clients(name, lower string) *Clients {
	m := c.cfg.Domain[name].MTLS
	if m == nil {
		return nil
	}
	at := []string{"domain", name, "mtls"}
	if _, err := netip.ParseAddr(lower); err == nil {
		c.find(at, "an address can't ask for certificates", "TLS tells the server names, not addresses (RFC 6066, 3): give the domain a name")
	}
	if m.Mode != "optional" && !slices.ContainsFunc(sortedKeys(c.cfg.Listen), func(l string) bool { return c.cfg.Listen[l].TLS != nil }) {
		c.find(at, "no listener has TLS, so nobody can show a certificate", `add [listen.NAME.tls], or write mode = "optional"`)
	}
	made := c.build(nil).Shared(trust{m.Truststore, strings.Join(m.Revoked, "\x00")}, func() any {
		store, found := truststore.Read(m.Truststore, m.Revoked, time.Now())
		return judgedTrust{store, found}
	}).(judgedTrust)
	for _, f := range made.found {
		c.untrusted(at, f)
	}
	if m.Mode != "optional" {
		c.wayAround(name)
	}
	return &Clients{store: made.store, Required: m.Mode != "optional"}
}

// clientCertificate returns the certificate called name, if it can be used; "" is
// none.
func (c *compiler) clientCertificate(name string) *config.ClientCertificate {
	configured, found := c.cfg.ClientCertificate[name]
	if !found {
		return nil // a name that isn't there was reported at load
	}
	if _, err := tls.LoadX509KeyPair(configured.Cert, configured.KeyFile()); err != nil {
		c.find([]string{"client_certificate", name}, fmt.Sprintf("%s with the key in %s: %v", configured.Cert, configured.KeyFile(), err), "")
		return nil
	}
	return &configured
}

// wayAround warns of APIs that a domain which requires certificates leads to, and
// the default host without any. AWS: "Disable the default endpoint for REST APIs".
func (c *compiler) wayAround(name string) {
	for _, basePath := range sortedKeys(c.cfg.Domain[name].Map) {
		api, _, _ := strings.Cut(c.cfg.Domain[name].Map[basePath], ":")
		if configured, found := c.cfg.API[api]; found && !configured.DisableDefaultEndpoint {
			c.findAs(config.SeverityWarning, []string{"domain", name, "map", basePath},
				fmt.Sprintf("the default host of API %q asks for no certificate", api), "add disable_default_endpoint = true to the API")
		}
	}
}

// trust names a store that domains share.
type trust struct{ bundle, revoked string }

type judgedTrust struct {
	store *truststore.Store
	found []truststore.Finding
}

// untrusted reports what is wrong with a file of a domain's.
func (c *compiler) untrusted(at []string, f truststore.Finding) {
	place, what := under(at, "truststore"), "certificate"
	if f.List > 0 {
		place, what = under(at, "revoked", strconv.Itoa(f.List-1)), "entry"
	}
	text := f.File + ": " + f.Text
	if f.Position > 0 {
		text = fmt.Sprintf("%s: %s %d: %s", f.File, what, f.Position, f.Text)
	}
	severity := config.SeverityError
	if f.Odd {
		severity = config.SeverityWarning
	}
	c.findAs(severity, place, text, f.Hint)
}
