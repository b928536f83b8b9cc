package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/observe"
	"github.com/postern-gateway/postern/proxy/overload"
	"github.com/postern-gateway/postern/proxy/server"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

// gateway is everything that runs. What it owns outlives configurations; only
// snapshots come and go.
type gateway struct {
	// Set at construction.
	file        string
	journal     *journal
	status      *control.Status
	observer    *observe.Observer
	parts       *parts
	deployments *deployments
	changing    sync.Mutex // one deployment at a time; taken before mu
	development bool       // each stage runs what the file says
	overload    *overload.Monitor
	server      *server.Server
	traces      *explain.Desk
	admin       *control.Server
	sockets     *sockets
	supervisor  *supervisor
	before      *predecessor  // who may have to let go of the state, or nil
	done        chan struct{} // closed when nothing is served any more

	serving atomic.Pointer[config.Config] // changed under mu
	shared  atomic.Bool                   // the admin socket is another process's
	telling sync.WaitGroup                // of another process, what is counted here

	mu       sync.Mutex         // one change at a time; guards what follows
	compiled *snapshot.Snapshot // that serves
	files    []string           // sources of the newest attempt, good or bad
	digest   string             // theirs
	tried    string             // digest, or "" when files may have changed since they were read
	stopped  bool
	lent     bool   // the state is another process's, or about to be
	root     string // fingerprint of the internal authority's, once it was told
}

// ErrStopping is what a change fails with once the gateway is on its way out.
var ErrStopping = errors.New("the gateway is stopping")

// invalid is a configuration that can't serve.
type invalid struct{ findings config.Findings }

func (e *invalid) Error() string { return e.findings.Text() }

// Is tells the admin listener what it is.
func (e *invalid) Is(target error) bool { return target == control.ErrConfiguration }

// newGateway makes a gateway that serves nothing yet, on sockets if they fit. cfg
// says where its logs and its state are.
func newGateway(file string, cfg *config.Config, sockets *sockets, s *streams) (g *gateway, err error) {
	g = &gateway{file: file, status: control.NewStatus(nil), sockets: sockets, done: make(chan struct{})}
	defer func() {
		if err != nil {
			g.close()
			g = nil
		}
	}()
	if g.journal, err = newJournal(cfg, s); err != nil {
		return g, err
	}
	g.supervisor = newSupervisor(g.journal.Named("systemd"))
	registry := prometheus.NewRegistry()
	err = registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "postern_operator_log_dropped_lines_total",
		Help: "Lines of the operator log that were lost because its destination is full, broken or too slow.",
	}, func() float64 { return float64(g.journal.sink.Dropped()) }))
	if err != nil {
		return g, err
	}
	if g.observer, err = observe.New(observe.Options{
		Log: cfg.Log, Variable: contextVariable, Version: readBuild().Version, Logger: g.journal.Named("observe"), Registry: registry, Stdout: s.out, Stderr: s.err,
	}); err != nil {
		return g, err
	}
	if g.parts, err = newParts(cfg, g.journal.Logger); err != nil {
		return g, err
	}
	g.deployments = newDeployments(cfg, g.parts.plugins, g.journal.Named("deployment"))
	g.overload = overload.New(overload.Options{Group: groupMemory(), Changed: g.overloaded})
	if g.traces, err = newDesk(cfg); err != nil {
		return g, err
	}
	g.server = server.New(server.Options{
		Traces: g.traces,
		Logger: g.journal.Named("server"), Recorder: g.observer.Unmatched(), Open: sockets.open, Overload: g.overload, Certificates: g.parts.certificates,
	})
	g.admin, err = control.New(control.Options{
		Logger: g.journal.Named("admin"), Registry: registry, Status: g.status,
		Config: g.masked, Connections: g.connections, Plugins: g.pluginFigures, Namespaces: g.namespaceFigures, Backends: g.backendFigures, Issuers: g.issuerFigures, Certificates: g.certificateFigures, Overload: g.overloadFigures,
		Domains: g.parts.certificates, Missing: g.missing,
		Shadows: g.parts.shadows.Reports, Tags: g.tags,
		Usage: g.ledger, UsageFigures: g.parts.usage.Figures,
		Deployments: g.deployer(), Audit: g.audit,
		Caches:    caches{g.parts.kept},
		Sockets:   g.parts.sockets,
		Tracing:   &tracer{g.server, g.traces, g.serving.Load},
		Inherited: sockets.admin,
	})
	return g, err
}

// apply makes cfg the configuration that serves, once c is made of what is deployed; c
// may be nil. On an error nothing changed; it is an *invalid when the configuration is
// to blame.
func (g *gateway) apply(ctx context.Context, cfg *config.Config, c *change) error {
	if err := g.openState(cfg, ifPlanned); err != nil {
		return err
	}
	r, err := g.deployments.prepare(ctx, cfg, c)
	if err != nil {
		return blamed(cfg, err)
	}
	r.serving = g.compiled
	next, findings := g.parts.build(ctx, cfg, r, g.observer)
	if next == nil {
		return &invalid{findings}
	}
	if err := g.keep(ctx, r, c); err != nil {
		next.discard()
		return err
	}
	if err := g.adopt(cfg, next); err != nil {
		next.discard()
		return errors.Join(err, g.deployments.undo(r))
	}
	next.commit()
	g.compiled = next.snapshot
	g.deployments.commit(r)
	g.record(r, c)
	g.parts.catalog(cfg)
	g.parts.shadows.Keep(cfg)
	g.serving.Store(cfg)
	g.publishRoot(ctx, cfg)
	g.ageDomains(time.Now())
	g.warn(findings)
	return nil
}

// warn tells what is odd in a configuration that serves.
func (g *gateway) warn(findings config.Findings) {
	for _, reason := range reasonsOf(&invalid{findings}) {
		g.journal.Warn("odd configuration", zap.String("finding", reason))
	}
}

// adopt brings logs, the admin listener and the public listeners to cfg, those
// that can fail without a trace first.
func (g *gateway) adopt(cfg *config.Config, next *candidate) error {
	admin, err := adminAddress(cfg)
	if err != nil {
		return err
	}
	certificate, err := adminCertificate(cfg)
	if err != nil {
		return err
	}
	before := g.admin.Address()
	back := g.admin.Guard(certificate, adminTokens(cfg)) // before anybody can ask
	if err := g.admin.Listen(admin); err != nil {
		back()
		return err
	}
	if err := g.server.Apply(cfg, next.snapshot); err != nil {
		back()
		if g.shared.Load() {
			g.admin.Leave()
		}
		return errors.Join(err, g.admin.Listen(before))
	}
	if err := g.observer.Follow(cfg); err != nil {
		g.journal.Error("a log of requests stays as it is", zap.Error(err))
	}
	if err := g.journal.configure(cfg); err != nil {
		g.journal.Error("the operator log stays where it is", zap.Error(err))
	}
	return nil
}

// start serves cfg for the first time; loading it began at that time and found
// warnings.
func (g *gateway) start(ctx context.Context, cfg *config.Config, warnings config.Findings, began time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remember(sources(g.file, cfg), began)
	if err := g.apply(ctx, cfg, nil); err != nil {
		return err
	}
	g.warn(warnings)
	g.status.Loaded(g.file, g.digest)
	g.announce(cfg)
	g.journal.Info("serving", zap.String("config", g.file), zap.Duration("start", time.Since(began)))
	return nil
}

// reload reads the file again and serves it if it is good; else the last good
// one serves on, and log, readiness and metrics say why. With onlyChanged it does
// nothing when the content is that of the newest attempt.
func (g *gateway) reload(ctx context.Context, cause string, onlyChanged bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return ErrStopping
	}
	if onlyChanged && digest(g.files) == g.tried {
		return nil
	}
	began := time.Now()
	g.supervisor.reloading()
	warnings, err := g.attempt(ctx, nil)
	g.observer.Keep(g.serving.Load()) // a refused one may have brought new stages
	if err != nil {
		reasons := reasonsOf(err)
		g.status.ReloadFailed(reasons)
		g.journal.Error("reload refused, the configuration before it serves on", zap.String("config", g.file),
			zap.String("cause", cause), zap.Strings("findings", reasons))
		g.supervisor.ready("reload refused, the configuration before it serves on: " + strings.Join(reasons, "; "))
		return err
	}
	g.warn(warnings)
	g.status.Loaded(g.file, g.digest)
	g.journal.Info("configuration reloaded", zap.String("config", g.file), zap.String("cause", cause),
		zap.Duration("took", time.Since(began)))
	g.supervisor.ready("serving " + g.file)
	return nil
}

// attempt loads the file and serves it if it is good. A panic of ours is one
// more reason to stay with what serves.
func (g *gateway) attempt(ctx context.Context, c *change) (warnings config.Findings, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	began := time.Now()
	cfg, findings := g.load()
	files := sources(g.file, cfg)
	if cfg == nil || findings.Failed() {
		g.remember(union(files, sources(g.file, g.serving.Load())), began)
		return nil, &invalid{findings}
	}
	g.remember(files, began)
	before := fmt.Sprint(g.server.Addrs(), g.admin.Address())
	if err := g.apply(ctx, cfg, c); err != nil {
		return nil, err
	}
	if fmt.Sprint(g.server.Addrs(), g.admin.Address()) != before {
		g.announce(cfg)
	}
	return findings, nil
}

// remember notes what the newest attempt, which began at that time, was made from.
func (g *gateway) remember(files []string, began time.Time) {
	g.files, g.digest = files, digest(files)
	g.tried = g.digest
	if touchedSince(files, began) {
		g.tried = "" // perhaps after it was read: the next change counts in any case
	}
}

// watched returns the files whose change is a reason to reload.
func (g *gateway) watched() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.files
}

// reopen opens the log files anew, as after a rotation.
func (g *gateway) reopen() {
	if err := errors.Join(g.observer.Reopen(), g.journal.sink.Switch(g.journal.sink.Target())); err != nil {
		g.journal.Error("log files can't be opened anew", zap.Error(err))
		return
	}
	g.journal.Info("log files opened anew")
}

// drain stops in order: readiness fails, listeners close, requests in flight
// end. The end of ctx cuts the rest off. It returns an error when requests were
// cut.
func (g *gateway) drain(ctx context.Context) error {
	g.status.Draining()
	g.mu.Lock() // waits for a reload under way
	g.stopped = true
	limits := g.serving.Load().Drain
	g.mu.Unlock()
	g.supervisor.stopping(time.Duration(limits.Delay+limits.Timeout) + 2*closePatience)
	g.journal.Info("stopping", zap.Duration("delay", time.Duration(limits.Delay)),
		zap.Duration("timeout", time.Duration(limits.Timeout)), zap.Int64("in_flight", g.server.Stats().InFlight))
	if delay := time.Duration(limits.Delay); delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	return g.finish(ctx, time.Duration(limits.Timeout))
}

// yield is drain for a gateway whose sockets another process has: whoever asks
// at the admin socket or connects is answered there.
func (g *gateway) yield(ctx context.Context) error {
	g.status.Draining()
	g.mu.Lock()
	g.stopped = true
	timeout := time.Duration(g.serving.Load().Drain.Timeout)
	g.mu.Unlock()
	g.admin.Leave()
	g.journal.Info("another process serves, this one ends with its requests",
		zap.Duration("timeout", timeout), zap.Int64("in_flight", g.server.Stats().InFlight))
	return g.finish(ctx, timeout)
}

// finish closes the listeners and waits for requests in flight.
func (g *gateway) finish(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := g.server.Drain(ctx)
	left := g.server.Stats()
	if err == nil || left.Connections+left.InFlight == 0 {
		return nil
	}
	if left.Connections > left.Tunnels || left.InFlight > left.Tunnels {
		return fmt.Errorf("stopped with %d requests in flight: %w", left.InFlight-left.Tunnels, err)
	}
	// These never end by themselves; closing the server tells their clients.
	g.journal.Info("upgraded connections are ended", zap.Int64("connections", left.Tunnels))
	return nil
}

// closePatience is how long requests that were cut off may take to notice it.
const closePatience = 5 * time.Second

// close ends everything that newGateway and start began. What doesn't end in
// time is left to the end of the process.
func (g *gateway) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		g.closeAll()
	}()
	select {
	case <-closed:
	case <-time.After(closePatience):
	}
}

func (g *gateway) closeAll() {
	if g.server != nil {
		if err := g.server.Close(); err != nil {
			g.journal.Warn("the server didn't end well", zap.Error(err))
		}
	}
	close(g.done)
	g.telling.Wait()
	if g.overload != nil {
		g.overload.Close()
	}
	if g.parts != nil {
		g.parts.close()
	}
	if g.admin != nil && g.shared.Load() {
		g.admin.Leave()
	}
	if g.admin != nil {
		g.admin.Close() // which does nothing a second time
	}
	if g.observer != nil {
		if err := g.observer.Close(); err != nil {
			g.journal.Warn("the access log didn't end well", zap.Error(err))
		}
	}
	if g.journal != nil {
		_ = g.journal.sink.Close() // it is where the error would go
	}
}

// health says what is wrong with a gateway that serves, if anything is.
func (g *gateway) health() error {
	if down := g.server.Down(); len(down) > 0 {
		return fmt.Errorf("listeners that accept no connections: %s", strings.Join(down, ", "))
	}
	return nil
}

func (g *gateway) masked() ([]byte, error) {
	cfg := g.serving.Load()
	if cfg == nil {
		return nil, errors.New("no configuration is loaded yet")
	}
	return cfg.Masked()
}

func (g *gateway) connections() control.Connections {
	stats := g.server.Stats()
	return control.Connections{Handshakes: stats.Handshakes, Open: stats.Connections, InFlight: stats.InFlight, HTTP3: stats.HTTP3}
}

// overloaded tells of memory that runs short, and of its recovery.
func (g *gateway) overloaded(level overload.Level, worst overload.Usage) {
	report := g.journal.Warn
	if level == overload.Calm {
		report = g.journal.Info
	}
	report("memory", zap.Stringer("level", level), zap.Uint64("used_bytes", worst.Used), zap.Uint64("limit_bytes", worst.Limit))
}

func (g *gateway) overloadFigures() control.Overload {
	level, worst := g.overload.Level(), g.overload.Worst()
	return control.Overload{
		Level: level.String(), Shedding: level == overload.Shedding,
		Used: worst.Used, Limit: worst.Limit, Refused: g.server.Stats().Refused,
	}
}

// backendFigures are what the metrics tell of the backends.
func (g *gateway) backendFigures() []control.Backend {
	stats := g.parts.backends.Stats()
	all := make([]control.Backend, len(stats))
	for i, s := range stats {
		all[i] = control.Backend{
			Name: s.Name, Active: s.Active, Waiting: s.Waiting, Full: s.Full, Refused: s.Refused, Retries: s.Retries, Spared: s.Spared,
			Targets: make([]control.Target, len(s.Targets)),
		}
		for j, t := range s.Targets {
			all[i].Targets[j] = control.Target(t)
		}
	}
	return all
}

// adminAddress returns where the operator's listener is.
func adminAddress(cfg *config.Config) (string, error) {
	if address := cfg.Admin.Address; address != "" {
		return address, nil
	}
	dir, err := dataDir(cfg)
	if err != nil {
		return "", fmt.Errorf("admin socket: %w, or admin.address", err)
	}
	return "unix:" + filepath.Join(dir, "admin.sock"), nil
}
