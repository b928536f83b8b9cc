package control

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Connections are what the metrics tell of the public listeners.
type Connections struct {
	Open     int64 // connections of clients
	InFlight int64 // requests under way
	HTTP3    int64 // of the connections, those that use HTTP/3

	Handshakes map[string]uint64 // of TLS that failed so far, by the reason
}

// Overload is what readiness and the metrics tell of memory that runs short and
// of what the public listeners turned away.
type Overload struct {
	Level       string            // "calm", "strained", "shedding"
	Shedding    bool              // requests are refused
	Used, Limit uint64            // memory that decides about the level, in bytes; Limit 0: no limit
	Refused     map[string]uint64 // what was turned away so far, by reason
}

// register adds what isn't counted for each request to the registry.
func register(o Options) error {
	all := []prometheus.Collector{
		newReloads(o.Status),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	if o.Connections != nil {
		all = append(all, newHandshakeMetrics(o.Connections),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_connections", Help: "Open connections of clients."},
				func() float64 { return float64(o.Connections().Open) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_requests_in_flight", Help: "Requests under way."},
				func() float64 { return float64(o.Connections().InFlight) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_connections_http3", Help: "Those of the connections that use HTTP/3."},
				func() float64 { return float64(o.Connections().HTTP3) }))
	}
	if o.Overload != nil {
		all = append(all, newOverloadMetrics(o.Overload))
	}
	if o.Plugins != nil {
		all = append(all, newPluginMetrics(o.Plugins, o.Namespaces))
	}
	if o.UsageFigures != nil {
		all = append(all, newPlanMetrics(o.UsageFigures))
	}
	if o.Backends != nil {
		all = append(all, newBackendMetrics(o.Backends))
	}
	if o.Issuers != nil {
		all = append(all, newIssuerMetrics(o.Issuers))
	}
	if o.Domains != nil {
		all = append(all, newDomainMetrics(o.Domains))
	}
	if o.Certificates != nil {
		all = append(all, newCertificateMetrics(o.Certificates))
	}
	if o.Tags != nil {
		all = append(all, newTagCollector(o.Tags))
	}
	if o.Shadows != nil {
		all = append(all, newShadowCollector(o.Shadows))
	}
	if o.Caches != nil {
		all = append(all, newCacheCollector(o.Caches))
	}
	if o.Sockets != nil {
		all = append(all, newSocketCollector(o.Sockets))
	}
	for _, c := range all {
		if err := o.Registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}
