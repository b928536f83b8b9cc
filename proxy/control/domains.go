package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/usage"
)

// Paths of the certificates of domains. Bodies and answers are JSON; private keys are
// in none of them.
//
//	GET  /certificates               a DomainCertificates
//	GET  /certificates/NAME          one, a DomainCertificate
//	POST /certificates/NAME/renew    {} gets another one, and answers when it is there
//	POST /certificates/NAME/revoke   {"reason": ONE OF RevocationReasons}, then the same
const (
	certificatesPath = "/certificates"
	certificatePath  = "/certificates/{name}"
	renewPath        = "/certificates/{name}/renew"
	revokePath       = "/certificates/{name}/revoke"
)

// States of a domain's certificate.
const (
	stateMissing = "missing" // there is none yet
	stateExpired = "expired"
	stateRevoked = "revoked" // and to be replaced
	stateOld     = "old"     // a third of its life is left, or less
	stateGood    = "good"
)

// DomainCertificates are the certificates of domains, and what it takes to get them.
type DomainCertificates struct {
	Certificates []DomainCertificate `json:"certificates"`     // in order of their names
	OrdersLeft   int                 `json:"orders_left"`      // that may be placed at once
	Orders       int64               `json:"orders"`           // placed since the start
	Paused       []string            `json:"paused,omitempty"` // why authorities aren't asked just now
}

// DomainCertificate is the certificate of a domain, and what became of the last try
// to get one. What there isn't is left out.
type DomainCertificate struct {
	Name      string    `json:"name"`
	Source    string    `json:"source"` // "acme", "internal" or "files"
	State     string    `json:"state"`  // "good", "old", "expired", "revoked" or "missing"
	Issuer    string    `json:"issuer,omitempty"`
	Serial    string    `json:"serial,omitempty"` // in hexadecimal digits
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	DaysLeft  float64   `json:"days_left"` // 0 without a certificate; negative once it expired
	Renew     time.Time `json:"renew,omitzero"`
	Stapled   bool      `json:"stapled,omitempty"`
	LastTry   time.Time `json:"last_try,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	Failures  int       `json:"failures,omitempty"` // since the last success
	NextTry   time.Time `json:"next_try,omitzero"`
}

// Describe returns what is to be said of f at now.
func Describe(f *certificate.Figures, now time.Time) DomainCertificates {
	all := DomainCertificates{Certificates: make([]DomainCertificate, len(f.Names)), OrdersLeft: f.OrdersLeft, Orders: f.Orders, Paused: f.Paused}
	for i := range f.Names {
		s := &f.Names[i]
		c := &all.Certificates[i]
		*c = DomainCertificate{
			Name: s.Name, Source: s.Source, State: stateOf(s, now), Issuer: s.Issuer, Serial: s.Serial, NotBefore: s.NotBefore, NotAfter: s.NotAfter,
			Renew: s.Renew, Stapled: s.Stapled, LastTry: s.Tried, LastError: s.Failure, Failures: s.Failures, NextTry: s.Next,
		}
		if s.Has {
			c.DaysLeft = float64(s.NotAfter.Sub(now)/time.Minute) / (24 * 60)
		}
	}
	return all
}

func stateOf(s *certificate.Status, now time.Time) string {
	whole := Certificate{NotBefore: s.NotBefore, NotAfter: s.NotAfter}
	switch {
	case !s.Has:
		return stateMissing
	case !now.Before(s.NotAfter):
		return stateExpired
	case s.Revoked:
		return stateRevoked
	case whole.Aging(now):
		return stateOld
	}
	return stateGood
}

// Find returns the one called name.
func (all *DomainCertificates) Find(name string) (DomainCertificate, error) {
	i := slices.IndexFunc(all.Certificates, func(c DomainCertificate) bool { return c.Name == name })
	if i < 0 {
		return DomainCertificate{}, fmt.Errorf("%w domain with a certificate of its own: %s", certificate.ErrUnknown, name)
	}
	return all.Certificates[i], nil
}

// RevocationReasons are the words for why a certificate is revoked.
func RevocationReasons() []string {
	return []string{"unspecified", "key_compromise", "superseded", "cessation"}
}

// RevocationReason returns the number of one of RevocationReasons. RFC 5280, 5.3.1.
func RevocationReason(word string) (int, error) {
	i := slices.Index(RevocationReasons(), word)
	if i < 0 {
		return 0, fmt.Errorf("%w: the reason is one of %s", usage.ErrInvalid, strings.Join(RevocationReasons(), ", "))
	}
	return []int{certificate.ReasonUnspecified, certificate.ReasonKeyCompromise, certificate.ReasonSuperseded, certificate.ReasonCessation}[i], nil
}

// offerDomains adds the paths of domains' certificates.
func (s *Server) offerDomains() {
	keeper := s.options.Domains
	one := func(r *http.Request) (any, error) {
		f := keeper.Figures()
		all := Describe(&f, time.Now())
		return all.Find(r.PathValue("name"))
	}
	s.offer(certificatesPath, answered(func(*http.Request) (any, error) {
		f := keeper.Figures()
		return Describe(&f, time.Now()), nil
	}))
	s.offer(certificatePath, answered(one))
	s.guarded("POST", renewPath, jsonType, answered(func(r *http.Request) (any, error) {
		if err := read(r, &struct{}{}); err != nil {
			return nil, err
		}
		s.options.Logger.Info("a certificate is to be renewed", zap.String("name", r.PathValue("name")), zap.String("by", peer(r)))
		if err := keeper.Renew(r.Context(), r.PathValue("name")); err != nil {
			return nil, err
		}
		return one(r)
	}))
	s.guarded("POST", revokePath, jsonType, answered(func(r *http.Request) (any, error) {
		var why revocation
		if err := read(r, &why); err != nil {
			return nil, err
		}
		reason, err := RevocationReason(why.Reason)
		if err != nil {
			return nil, err
		}
		s.options.Logger.Warn("a certificate is to be revoked", zap.String("name", r.PathValue("name")), zap.String("reason", why.Reason), zap.String("by", peer(r)))
		if err := keeper.Revoke(r.Context(), r.PathValue("name"), reason); err != nil {
			return nil, err
		}
		return one(r)
	}))
}

// revocation is what is asked for.
type revocation struct {
	Reason string `json:"reason"`
}

// answered answers with what f returns, as JSON.
func answered(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := f(r)
		if err == nil {
			writeJSON(w, http.StatusOK, answer)
			return
		}
		status := http.StatusBadGateway // the authority's word
		switch {
		case errors.Is(err, certificate.ErrUnknown):
			status = http.StatusNotFound
		case errors.Is(err, certificate.ErrBusy):
			status = http.StatusConflict
		case errors.Is(err, usage.ErrInvalid):
			status = http.StatusBadRequest
		}
		writeJSON(w, status, map[string]any{"message": err.Error()})
	}
}

// Certificates returns the certificates of domains.
func (c *Client) Certificates(ctx context.Context) (all DomainCertificates, err error) {
	return all, c.ask(ctx, http.MethodGet, certificatesPath, "", nil, &all)
}

// RenewCertificate gets domain another certificate, and waits for it.
func (c *Client) RenewCertificate(ctx context.Context, domain string) (DomainCertificate, error) {
	return c.alterCertificate(ctx, domain, "renew", "{}")
}

// RevokeCertificate has domain's certificate revoked for one of RevocationReasons, and
// replaced.
func (c *Client) RevokeCertificate(ctx context.Context, domain, reason string) (DomainCertificate, error) {
	return c.alterCertificate(ctx, domain, "revoke", fmt.Sprintf(`{"reason":%q}`, reason))
}

func (c *Client) alterCertificate(ctx context.Context, domain, verb, body string) (one DomainCertificate, err error) {
	return one, c.patient().ask(ctx, http.MethodPost, certificatesPath+"/"+url.PathEscape(domain)+"/"+verb, jsonType, strings.NewReader(body), &one)
}

// patient returns c for what authorities are asked for, who may take their time; the
// caller's context ends it.
func (c *Client) patient() *Client {
	patient := *c.http
	patient.Timeout = 0
	return &Client{http: &patient, base: c.base}
}

// Missing are the names that have no certificate to serve.
type Missing struct {
	Names  []string // each with why
	Total  int      // names that are to have one, these included
	Needed string   // "any": one of them must have one for readiness; "all"; or "always": none
}

// missingShown is how many names readiness gives reasons for.
const missingShown = 20

// certificateCheck decides about readiness as the configuration says. Other names
// serve whatever becomes of one.
type certificateCheck struct {
	OK      bool     `json:"ok"`
	Reason  string   `json:"reason,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

// check returns what m says, and whether the gateway may be ready.
func (m *Missing) check() (check *certificateCheck, ready bool) {
	n := len(m.Names)
	if n == 0 {
		return &certificateCheck{OK: true}, true
	}
	shown := m.Names
	if n > missingShown {
		shown = append(slices.Clone(m.Names[:missingShown]), fmt.Sprintf("and %d more", n-missingShown))
	}
	ready = m.Needed == "always" || m.Needed != "all" && n < m.Total
	reason := fmt.Sprintf("%d of %d names have no certificate", n, m.Total)
	if !ready {
		reason += `; acme.ready = "always" makes the gateway ready all the same, for an authority that reaches it only then`
	}
	return &certificateCheck{Reason: reason, Missing: shown}, ready
}

// domainMetrics reads the figures of domains' certificates at each scrape.
type domainMetrics struct {
	keeper *certificate.Keeper
	names  []figure[DomainCertificate]
	all    []figure[certificate.Figures]
}

func newDomainMetrics(keeper *certificate.Keeper) *domainMetrics {
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	one := func(name, help string, value func(*DomainCertificate) float64) figure[DomainCertificate] {
		return figure[DomainCertificate]{prometheus.NewDesc("postern_certificate_"+name, help, []string{"domain"}, nil), gauge, value}
	}
	all := func(kind prometheus.ValueType, name, help string, value func(*certificate.Figures) float64) figure[certificate.Figures] {
		return figure[certificate.Figures]{prometheus.NewDesc("postern_certificate_"+name, help, nil, nil), kind, value}
	}
	return &domainMetrics{keeper: keeper, names: []figure[DomainCertificate]{
		one("usable", "1 while a domain has a certificate that hasn't expired.", func(c *DomainCertificate) float64 {
			return truth(c.State != stateMissing && c.State != stateExpired)
		}),
		one("days_left", "Days until a domain's certificate expires; 0 without one.", func(c *DomainCertificate) float64 { return c.DaysLeft }),
		one("aging", "1 once a domain's certificate has a third of its life left, or less.", func(c *DomainCertificate) float64 {
			return truth(c.State == stateOld || c.State == stateExpired)
		}),
		one("failures", "Tries that failed to get a domain another certificate, since the last success.", func(c *DomainCertificate) float64 { return float64(c.Failures) }),
	}, all: []figure[certificate.Figures]{
		all(gauge, "orders_left", "Orders that may be placed at once, at all authorities together.", func(f *certificate.Figures) float64 { return float64(f.OrdersLeft) }),
		all(count, "orders_total", "Orders placed at authorities.", func(f *certificate.Figures) float64 { return float64(f.Orders) }),
		all(count, "renewals_total", "Certificates that were got or made, first ones included.", func(f *certificate.Figures) float64 { return float64(f.Got) }),
		all(count, "failures_total", "Tries to get a certificate that failed.", func(f *certificate.Figures) float64 { return float64(f.Failed) }),
		all(gauge, "on_demand_left", "Names that may still get certificates on demand on this day.", func(f *certificate.Figures) float64 { return float64(f.Demand.Left) }),
		all(gauge, "on_demand_names", "Names with certificates on demand in memory.", func(f *certificate.Figures) float64 { return float64(f.Demand.Names) }),
		all(count, "on_demand_granted_total", "Names that were allowed to have certificates on demand.", func(f *certificate.Figures) float64 { return float64(f.Demand.Granted) }),
		all(count, "on_demand_refused_total", "Names that weren't, those that are remembered as refused not included.", func(f *certificate.Figures) float64 { return float64(f.Demand.Refused) }),
		all(count, "on_demand_limited_total", "Names that a limit of certificates on demand stood against.", func(f *certificate.Figures) float64 { return float64(f.Demand.Limited) }),
		all(gauge, "authorities_paused", "Authorities that aren't asked just now, for they said so or don't answer.", func(f *certificate.Figures) float64 { return float64(len(f.Paused)) }),
		all(count, "damaged_total", "Stored certificates and accounts that weren't what was stored.", func(f *certificate.Figures) float64 { return float64(f.Damaged) }),
		all(count, "unstored_total", "Certificates and accounts that couldn't be stored.", func(f *certificate.Figures) float64 { return float64(f.Unstored) }),
	}}
}

// Describe implements prometheus.Collector.
func (m *domainMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, f := range m.names {
		descs <- f.desc
	}
	for _, f := range m.all {
		descs <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m *domainMetrics) Collect(metrics chan<- prometheus.Metric) {
	f := m.keeper.Figures()
	described := Describe(&f, time.Now())
	for i := range described.Certificates {
		c := &described.Certificates[i]
		for _, one := range m.names {
			metrics <- prometheus.MustNewConstMetric(one.desc, one.kind, one.value(c), c.Name)
		}
	}
	for _, one := range m.all {
		metrics <- prometheus.MustNewConstMetric(one.desc, one.kind, one.value(&f))
	}
}
