package control

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Certificate is what the metrics tell of a certificate that is shown to backends.
type Certificate struct {
	Name                string
	NotBefore, NotAfter time.Time
}

// certificateMetrics reads the certificates' dates at each scrape.
type certificateMetrics struct {
	certificates func() []Certificate
	expiry       *prometheus.Desc
	aging        *prometheus.Desc
}

func newCertificateMetrics(certificates func() []Certificate) *certificateMetrics {
	return &certificateMetrics{
		certificates: certificates,
		expiry: prometheus.NewDesc("postern_client_certificate_expiry_timestamp_seconds",
			"When a certificate that is shown to backends expires.", []string{"client_certificate"}, nil),
		aging: prometheus.NewDesc("postern_client_certificate_aging",
			"1 once a certificate that is shown to backends has a third of its life left, or less.", []string{"client_certificate"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *certificateMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.expiry
	to <- m.aging
}

// Collect implements prometheus.Collector.
func (m *certificateMetrics) Collect(to chan<- prometheus.Metric) {
	now := time.Now()
	for _, c := range m.certificates() {
		to <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, float64(c.NotAfter.Unix()), c.Name)
		to <- prometheus.MustNewConstMetric(m.aging, prometheus.GaugeValue, truth(c.Aging(now)), c.Name)
	}
}

// Aging reports whether a third of c's life is left at now, or less.
func (c *Certificate) Aging(now time.Time) bool {
	return c.NotAfter.Sub(now) <= c.NotAfter.Sub(c.NotBefore)/3
}
