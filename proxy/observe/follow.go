package observe

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
)

// Check returns what is wrong with the logs of stages: formats and the addresses of
// syslog servers. Nothing is opened. variable is Options.Variable.
func Check(cfg *config.Config, variable func(name string) (Variable, bool)) config.Findings {
	var findings config.Findings
	find := func(err error, at ...string) {
		var key *config.KeyError
		if errors.As(err, &key) {
			findings = append(findings, cfg.Finding(at, key.Text, key.Hint))
		}
	}
	for _, api := range sortedKeys(cfg.API) {
		stages := cfg.API[api].Stage
		for _, name := range sortedKeys(stages) {
			log := stages[name].Log
			if log == nil {
				continue
			}
			at := []string{"api", api, "stage", name, "log"}
			if access := log.Access; access != nil {
				if access.Format != "" {
					_, err := parseFormat(access.Format, cfg.API[api].Type, variable)
					find(err, append(at[:len(at):len(at)], "access", "format")...)
				}
				find(checkOutput(access.Output), append(at[:len(at):len(at)], "access", "output")...)
			}
			if log.Execution != nil {
				find(checkOutput(log.Execution.Output), append(at[:len(at):len(at)], "execution", "output")...)
			}
		}
	}
	return findings
}

func checkOutput(target string) error {
	if !strings.HasPrefix(target, syslogPrefix) {
		return nil
	}
	_, err := parseSyslog(target)
	return err
}

// Follow makes the logs what cfg says, for the exchanges from now on. What can't be
// opened stays as it is, and the error says so.
func (o *Observer) Follow(cfg *config.Config) error {
	errs := []error{o.Configure(cfg.Log)}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.followOTLP(cfg.OTLP)
	next := &reopening{observer: o, sinks: map[string]*Sink{}}
	ways := map[*stage]*way{}
	for key, s := range o.stages {
		name := strings.TrimSuffix(key.stage, canarySuffix)
		configured, there := cfg.API[key.api].Stage[name]
		s.methods.keep(&configured)
		if !there {
			ways[s] = nil
			continue
		}
		w, err := next.way(&configured, cfg.API[key.api].Type, cfg.Log.Access)
		if err != nil {
			errs = append(errs, err)
			next.keep(s.way.Load())
			continue
		}
		ways[s] = w
	}
	for s, w := range ways {
		s.way.Store(w)
	}
	before := o.sinks
	o.sinks = next.sinks
	var all []*Sink
	for _, sink := range o.sinks {
		all = append(all, sink)
	}
	o.losses.Store(&all)
	for target, sink := range before {
		if o.sinks[target] != sink {
			errs = append(errs, o.retire(sink))
		}
	}
	return errors.Join(errs...)
}

// reopening are the sinks that a configuration needs.
type reopening struct {
	observer *Observer
	sinks    map[string]*Sink // by destination
}

// way returns where a stage of an API of some type has its lines go, nil for where the
// gateway's access log is, which is gateway.
func (r *reopening) way(stage *config.Stage, apiType, gateway string) (*way, error) {
	w := &way{shared: true}
	var err error
	log := stage.Log
	if log == nil {
		log = &config.StageLog{}
	}
	execution := log.Execution
	for _, m := range stage.Method {
		if execution == nil && m.LogLevel != "" {
			execution = &config.ExecutionLog{Output: "stderr"}
		}
	}
	if log.Access == nil && execution == nil {
		return nil, nil
	}
	if a := log.Access; a != nil {
		if a.Format != "" {
			if w.format, err = parseFormat(a.Format, apiType, r.observer.options.Variable); err != nil {
				return nil, err
			}
		}
		if a.Output != "" && a.Output != gateway {
			w.shared = false
			if w.access, err = r.sink(a.Output); err != nil {
				return nil, err
			}
		}
	}
	if execution != nil {
		if w.execution, err = r.sink(execution.Output); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// keep has the sinks of a way stay open.
func (r *reopening) keep(w *way) {
	if w == nil {
		return
	}
	for _, sink := range []*Sink{w.access, w.execution} {
		if sink != nil {
			r.sinks[sink.Target()] = sink
		}
	}
}

// sink returns the one that writes to target, nil for "off".
func (r *reopening) sink(target string) (*Sink, error) {
	if target == Off || target == "" {
		return nil, nil
	}
	if sink := r.sinks[target]; sink != nil {
		return sink, nil
	}
	if sink := r.observer.sinks[target]; sink != nil {
		r.sinks[target] = sink
		return sink, nil
	}
	o := &r.observer.options
	sink, err := NewSink(SinkOptions{
		Name: "stage log", Target: target, Buffer: o.Buffer, Gather: true, Logger: o.Logger, Stdout: o.Stdout, Stderr: o.Stderr,
	})
	if err == nil {
		r.sinks[target] = sink
	}
	return sink, err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
