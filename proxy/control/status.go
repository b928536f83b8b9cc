package control

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Status is what readiness, health and the reload metrics tell: which
// configuration serves, whether the last reload worked, whether the gateway is
// on its way out. Safe for concurrent use.
type Status struct {
	now func() time.Time

	mu       sync.Mutex // guards what follows
	overload func() Overload
	missing  func() Missing
	loaded   *loaded
	failed   *failed
	draining *time.Time
	applied  uint64 // reloads that worked, the first load not counted
	refused  uint64
}

// loaded is the configuration that serves.
type loaded struct {
	file, digest string
	at           time.Time
}

// failed is the newest attempt to reload, which changed nothing.
type failed struct {
	at      time.Time
	reasons []string
}

// NewStatus returns the status of a gateway that serves nothing yet. now is the
// clock; nil takes time.Now.
func NewStatus(now func() time.Time) *Status {
	if now == nil {
		now = time.Now
	}
	return &Status{now: now}
}

// Loaded notes that the configuration of file, whose content has digest, serves
// from now on.
func (s *Status) Loaded(file, digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded != nil {
		s.applied++
	}
	s.loaded = &loaded{file: file, digest: digest, at: s.now()}
	s.failed = nil
}

// ReloadFailed notes that a reload changed nothing, and why.
func (s *Status) ReloadFailed(reasons []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	s.failed = &failed{at: s.now(), reasons: reasons}
}

// Draining makes the gateway unready for good: no new work, please.
func (s *Status) Draining() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining == nil {
		at := s.now()
		s.draining = &at
	}
}

// watch makes the figures of o and m part of readiness; nil ones aren't.
func (s *Status) watch(o func() Overload, m func() Missing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overload, s.missing = o, m
}

// readiness is the answer of /health/ready.
type readiness struct {
	Ready  bool   `json:"ready"`
	Checks checks `json:"checks"`
}

type checks struct {
	Configuration configurationCheck `json:"configuration"`
	Reload        reloadCheck        `json:"reload"`
	Drain         drainCheck         `json:"drain"`
	Certificates  *certificateCheck  `json:"certificates,omitempty"`
	Overload      *overloadCheck     `json:"overload,omitempty"`
}

type configurationCheck struct {
	OK     bool       `json:"ok"`
	Reason string     `json:"reason,omitempty"`
	File   string     `json:"file,omitempty"`
	Loaded *time.Time `json:"loaded,omitempty"`
	Digest string     `json:"digest,omitempty"`
}

// reloadCheck doesn't decide about readiness: after a failed reload the last
// good configuration serves as before.
type reloadCheck struct {
	OK      bool       `json:"ok"`
	Failed  *time.Time `json:"failed,omitempty"`
	Reasons []string   `json:"reasons,omitempty"`
}

type drainCheck struct {
	OK     bool       `json:"ok"`
	Reason string     `json:"reason,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
}

// overloadCheck decides about readiness only while requests are refused: others
// had better take them.
type overloadCheck struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
	Level  string `json:"level"`
	Used   uint64 `json:"memory_used_bytes,omitempty"`
	Limit  uint64 `json:"memory_limit_bytes,omitempty"`
}

func (s *Status) readiness() readiness {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c checks
	if l := s.loaded; l != nil {
		at := l.at
		c.Configuration = configurationCheck{OK: true, File: l.file, Loaded: &at, Digest: l.digest}
	} else {
		c.Configuration.Reason = "no configuration is loaded yet"
	}
	c.Reload.OK = s.failed == nil
	if f := s.failed; f != nil {
		at := f.at
		c.Reload = reloadCheck{Failed: &at, Reasons: f.reasons}
	}
	c.Drain.OK = s.draining == nil
	if d := s.draining; d != nil {
		at := *d
		c.Drain = drainCheck{Reason: "the gateway is stopping", Since: &at}
	}
	ready := c.Configuration.OK && c.Drain.OK
	if s.missing != nil && s.loaded != nil {
		m := s.missing()
		check, may := m.check()
		c.Certificates, ready = check, ready && may
	}
	if s.overload != nil {
		o := s.overload()
		c.Overload = &overloadCheck{OK: !o.Shedding, Level: o.Level, Used: o.Used, Limit: o.Limit}
		if o.Shedding {
			c.Overload.Reason, ready = "memory is nearly used up, requests are refused", false
		}
	}
	return readiness{Ready: ready, Checks: c}
}

// reloads are the metrics of a Status.
type reloads struct {
	status                        *Status
	total, successful, at, loaded *prometheus.Desc
}

func newReloads(s *Status) *reloads {
	return &reloads{
		status:     s,
		total:      prometheus.NewDesc("postern_config_reloads_total", "Reloads of the configuration by result.", []string{"result"}, nil),
		successful: prometheus.NewDesc("postern_config_last_reload_successful", "1 if the newest reload worked, 0 if it left the configuration before it serving.", nil, nil),
		at:         prometheus.NewDesc("postern_config_last_reload_success_timestamp_seconds", "Unix time at which the configuration that serves was loaded.", nil, nil),
		loaded:     prometheus.NewDesc("postern_ready", "1 while the gateway wants new requests.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (r *reloads) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{r.total, r.successful, r.at, r.loaded} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (r *reloads) Collect(metrics chan<- prometheus.Metric) {
	ready := r.status.readiness()
	r.status.mu.Lock()
	applied, refused := r.status.applied, r.status.refused
	r.status.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	metrics <- prometheus.MustNewConstMetric(r.total, prometheus.CounterValue, float64(applied), "success")
	metrics <- prometheus.MustNewConstMetric(r.total, prometheus.CounterValue, float64(refused), "failure")
	gauge(r.successful, oneIf(ready.Checks.Reload.OK && ready.Checks.Configuration.OK))
	gauge(r.loaded, oneIf(ready.Ready))
	if at := ready.Checks.Configuration.Loaded; at != nil {
		gauge(r.at, float64(at.UnixMilli())/1000)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
