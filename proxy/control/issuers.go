package control

import "github.com/prometheus/client_golang/prometheus"

// Issuer is what the metrics tell of one issuer of tokens.
type Issuer struct {
	Name     string  // its URL
	Keys     int     // that its tokens can be signed with
	Age      float64 // seconds since the keys were fetched; 0 without keys
	Usable   bool    // the keys are there and not too old
	Fetches  uint64  // so far
	Failures uint64  // of these, those that failed
	Unknown  uint64  // tokens so far that named a key which isn't there
}

// issuerMetrics reads the issuers' figures at each scrape.
type issuerMetrics struct {
	issuers func() []Issuer
	figures []figure[Issuer]
}

func newIssuerMetrics(issuers func() []Issuer) *issuerMetrics {
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	one := func(kind prometheus.ValueType, name, help string, value func(*Issuer) float64) figure[Issuer] {
		return figure[Issuer]{prometheus.NewDesc("postern_issuer_"+name, help, []string{"issuer"}, nil), kind, value}
	}
	return &issuerMetrics{issuers: issuers, figures: []figure[Issuer]{
		one(gauge, "keys", "Keys that tokens of an issuer can be signed with.", func(i *Issuer) float64 { return float64(i.Keys) }),
		one(gauge, "keys_age_seconds", "Time since the keys of an issuer were fetched.", func(i *Issuer) float64 { return i.Age }),
		one(gauge, "keys_usable", "1 while an issuer's keys are there and not too old, so that tokens can be judged.", func(i *Issuer) float64 { return truth(i.Usable) }),
		one(count, "fetches_total", "Times that the keys of an issuer were fetched.", func(i *Issuer) float64 { return float64(i.Fetches) }),
		one(count, "fetch_failures_total", "Times that the keys of an issuer couldn't be fetched.", func(i *Issuer) float64 { return float64(i.Failures) }),
		one(count, "unknown_keys_total", "Tokens that named a key which their issuer doesn't have.", func(i *Issuer) float64 { return float64(i.Unknown) }),
	}}
}

// Describe implements prometheus.Collector.
func (m *issuerMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, f := range m.figures {
		descs <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m *issuerMetrics) Collect(metrics chan<- prometheus.Metric) {
	all := m.issuers()
	for i := range all {
		for _, f := range m.figures {
			metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&all[i]), all[i].Name)
		}
	}
}
