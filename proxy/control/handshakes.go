package control

import "github.com/prometheus/client_golang/prometheus"

// handshakeMetrics reads the failures of TLS handshakes at each scrape.
type handshakeMetrics struct {
	connections func() Connections
	failed      *prometheus.Desc
}

func newHandshakeMetrics(connections func() Connections) *handshakeMetrics {
	return &handshakeMetrics{connections, prometheus.NewDesc("postern_tls_handshakes_failed_total",
		"TLS handshakes that failed, by reason.", []string{"reason"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *handshakeMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.failed }

// Collect implements prometheus.Collector.
func (m *handshakeMetrics) Collect(to chan<- prometheus.Metric) {
	for reason, n := range m.connections().Handshakes {
		to <- prometheus.MustNewConstMetric(m.failed, prometheus.CounterValue, float64(n), reason)
	}
}
