// Package observe tells the operator about finished exchanges: one line of the
// access log and a few counters for each. Requests never wait for it.
package observe

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/otlp"
)

// Off as the access log's destination switches it off.
const Off = "off"

// Options are what an Observer is made of.
type Options struct {
	Log      config.Log           // Access is the destination; "" is Off
	Logger   *zap.Logger          // operator log; nil for none
	Registry *prometheus.Registry // where the metrics go; nil for none
	Buffer   int                  // bytes of access lines that wait; 0 takes DefaultBuffer

	Version string // of the gateway, for what the collector gets

	// Variable returns the context variable of a name, without "$context.", for the formats
	// of stages; false for none. Nil has none but those that only access logs have.
	Variable func(name string) (Variable, bool)

	// Stdout and Stderr are what the destinations of these names mean.
	// Default: the process's.
	Stdout, Stderr io.Writer
}

// Observer records exchanges. It outlives reloads, and so do the series of the
// stages. All methods are safe for concurrent use.
type Observer struct {
	// Set at construction.
	options   Options
	metrics   *metrics
	stamps    stamps
	lines     sync.Pool // of *[]byte
	unmatched *unmatched

	access  atomic.Pointer[Sink]    // nil when off
	dropped atomic.Uint64           // by sinks that are closed
	losses  atomic.Pointer[[]*Sink] // the stages' sinks, for who asks what they dropped

	exporter atomic.Pointer[otlp.Exporter] // nil without a collector
	leaving  sync.WaitGroup                // exporters that end
	figures  otlp.Figures

	mu        sync.Mutex // guards what follows
	stages    map[stageName]*stage
	sinks     map[string]*Sink // of stages' logs, by destination; replaced, never changed
	collector *config.OTLP     // what exporter was made for
}

type stageName struct{ api, stage string }

// New returns an Observer that writes to the access log that o names. It fails
// when that can't be opened, or when the registry has its metrics already.
func New(o Options) (*Observer, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	ob := &Observer{
		options: o,
		stages:  make(map[stageName]*stage),
	}
	m, err := newMetrics(o.Registry, ob.named)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	ob.metrics = m
	ob.unmatched = &unmatched{observer: ob, faults: faultCounters{family: m.unmatched}}
	err = o.Registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "postern_access_log_dropped_lines_total",
		Help: "Lines of access and execution logs that were lost because their destination is full, broken or too slow.",
	}, func() float64 { return float64(ob.Dropped()) }))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if err := ob.registerOTLP(); err != nil {
		return nil, err
	}
	if err := ob.Configure(o.Log); err != nil {
		return nil, err
	}
	return ob, nil
}

// Stage returns the recorder of a stage: the same one as long as Keep doesn't
// drop it.
func (o *Observer) Stage(api, name string) proxy.Recorder { return o.stage(api, name) }

// Canary returns the recorder of a stage's canary. It counts and logs by itself, as
// AWS's does, as "NAME/Canary".
func (o *Observer) Canary(api, name string) proxy.Recorder { return o.stage(api, name+canarySuffix) }

// canarySuffix is what AWS has behind the name of the log of a stage's canary.
const canarySuffix = "/Canary"

func (o *Observer) stage(api, name string) *stage {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := stageName{api, name}
	s := o.stages[key]
	if s == nil {
		s = &stage{observer: o, name: key, prefix: stagePrefix(api, name), series: o.metrics.bind(api, name)}
		o.stages[key] = s
	}
	return s
}

// named returns the stages that there are.
func (o *Observer) named() map[stageName]*stage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.stages)
}

// Unmatched returns the recorder of the exchanges that no stage took.
func (o *Observer) Unmatched() proxy.Recorder { return o.unmatched }

// Keep drops the series of all stages but those of cfg. Their recorders still
// work, unseen, for the exchanges under way.
func (o *Observer) Keep(cfg *config.Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name := range o.stages {
		if _, there := cfg.API[name.api].Stage[strings.TrimSuffix(name.stage, canarySuffix)]; !there {
			delete(o.stages, name)
			o.metrics.drop(name.api, name.stage)
		}
	}
}

// Configure makes log.Access the destination of the access log, for the lines
// from now on. On an error nothing changes.
func (o *Observer) Configure(log config.Log) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	sink := o.access.Load()
	switch {
	case log.Access == Off || log.Access == "":
		o.access.Store(nil)
		return o.retire(sink)
	case sink == nil:
		sink, err := NewSink(SinkOptions{
			Name: "access log", Target: log.Access, Buffer: o.options.Buffer, Gather: true,
			Logger: o.options.Logger, Stdout: o.options.Stdout, Stderr: o.options.Stderr,
		})
		if err != nil {
			return err
		}
		o.access.Store(sink)
		return nil
	case sink.Target() == log.Access:
		return nil
	}
	return sink.Switch(log.Access)
}

// retire closes a sink that is no more in use and keeps its count.
func (o *Observer) retire(sink *Sink) error {
	if sink == nil {
		return nil
	}
	err := sink.Close()
	o.dropped.Add(sink.Dropped())
	return err
}

// Reopen opens the files of the logs anew, as after a rotation. Where that fails, the old
// one stays.
func (o *Observer) Reopen() error {
	return o.each(func(s *Sink) error { return s.Switch(s.Target()) })
}

// Flush waits until the lines so far have left, 2 s at most for each destination.
func (o *Observer) Flush() error { return o.each((*Sink).Flush) }

// each does f for all sinks.
func (o *Observer) each(f func(*Sink) error) error {
	var errs []error
	if sink := o.access.Load(); sink != nil {
		errs = append(errs, f(sink))
	}
	if sinks := o.losses.Load(); sinks != nil {
		for _, sink := range *sinks {
			errs = append(errs, f(sink))
		}
	}
	return errors.Join(errs...)
}

// Dropped returns how many lines were lost so far.
func (o *Observer) Dropped() uint64 {
	n := o.dropped.Load()
	_ = o.each(func(s *Sink) error { // which never fails
		n += s.Dropped()
		return nil
	})
	return n
}

// Close writes the lines that wait and closes the logs. It returns an error when they
// couldn't leave within 2 s.
func (o *Observer) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	errs := []error{o.retire(o.access.Swap(nil))}
	for _, sink := range o.sinks {
		errs = append(errs, o.retire(sink))
	}
	o.sinks = nil
	o.losses.Store(nil)
	o.followOTLP(nil)
	o.leaving.Wait()
	return errors.Join(errs...)
}

// log writes the access line of ex, which begins with the members in prefix.
func (o *Observer) log(prefix string, ex *proxy.Exchange) {
	sink := o.access.Load()
	if sink == nil {
		return
	}
	line := o.line()
	*line = appendLine((*line)[:0], prefix, &o.stamps, ex)
	_, _ = sink.Write(*line) // it counts what it drops
	o.lines.Put(line)
}

// line returns memory for a line.
func (o *Observer) line() *[]byte {
	if line, _ := o.lines.Get().(*[]byte); line != nil {
		return line
	}
	return new([]byte)
}
