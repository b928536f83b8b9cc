package proxytest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/builtins"
	"github.com/postern-gateway/postern/builtins/authorizer"
	"github.com/postern-gateway/postern/builtins/guard"
	"github.com/postern-gateway/postern/builtins/responsecache"
	counting "github.com/postern-gateway/postern/builtins/usage"
	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/server"
	"github.com/postern-gateway/postern/proxy/shadow"
	"github.com/postern-gateway/postern/proxy/snapshot"
	"github.com/postern-gateway/postern/proxy/upstream"
	"github.com/postern-gateway/postern/proxy/usage"
	"github.com/postern-gateway/postern/proxy/websocket"
)

// assembly is a whole gateway, put together as `postern run` does it but for
// signals, the admin listener and the access log.
type assembly struct {
	t            testing.TB
	logger       *zap.Logger
	plugins      *plugins.Host
	backends     *upstream.Set
	answers      *authorizer.Decisions
	issuers      *authorizer.Issuers
	guards       *guard.Memory
	kept         *responsecache.Memory
	usage        *usage.Ledger
	certificates *certificate.Keeper
	shadows      *shadow.Set
	sockets      *websocket.Hub
	server       *server.Server
}

// Start returns a gateway that serves nothing yet and keeps no compiled plugins.
func Start(t testing.TB) Gateway {
	t.Helper()
	return assemble(t, "")
}

// Starter returns a function that makes gateways which serve nothing yet. They
// share compiled plugins in the folder cache.
func Starter(cache string) func(t *testing.T) Gateway {
	return func(t *testing.T) Gateway {
		t.Helper()
		return assemble(t, cache)
	}
}

func assemble(t testing.TB, cache string) Gateway {
	t.Helper()
	logger := zap.NewNop()
	host, err := plugins.NewHost(plugins.Options{Logger: logger, CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	certificates := certificate.New(certificate.Options{Logger: logger, Extensions: host, Store: certificate.NewDirectory(t.TempDir())})
	return &assembly{
		certificates: certificates,
		t:            t, logger: logger, plugins: host, usage: usage.New(usage.Options{}),
		backends: upstream.NewSet(upstream.Options{Logger: logger, Poison: true}),
		answers:  authorizer.NewDecisions(),
		issuers:  authorizer.NewIssuers(logger),
		guards:   guard.NewMemory(), shadows: shadow.NewSet(), sockets: websocket.NewHub(logger),
		kept:   responsecache.NewMemory(),
		server: server.New(server.Options{Logger: logger, Poison: true, Certificates: certificates}),
	}
}

// Apply loads, compiles and serves file.
func (w *assembly) Apply(file string) string {
	w.t.Helper()
	cfg, findings := config.Load(file)
	if findings.Failed() {
		return findings.Text()
	}
	patiently(cfg)
	modules, findings := w.plugins.Begin(w.t.Context(), cfg)
	if modules == nil {
		return findings.Text()
	}
	pairs, more := w.certificates.Begin(w.t.Context(), cfg)
	findings = append(findings, more...)
	if pairs == nil {
		modules.Discard()
		return findings.Text()
	}
	backends := w.backends.Begin()
	snap, more := snapshot.Compile(cfg, snapshot.Options{
		Kinds:    append(builtins.Kinds(builtins.Options{Guards: w.guards, Answers: w.kept, Sockets: w.sockets, Usage: counting.Options{Ledger: w.usage}, Authorizers: authorizer.Options{Decisions: w.answers, Issuers: w.issuers}}), modules.Kinds()...),
		Logger:   w.logger,
		Backend:  backends.Backend,
		Mirror:   w.shadows.Mirror,
		Function: modules.Function,
		Recorder: func(string, string) proxy.Recorder {
			return nobody{}
		},
	})
	findings = append(findings, more...)
	if findings.Failed() {
		if snap != nil {
			snap.Close()
		}
		backends.Discard()
		pairs.Discard()
		modules.Discard()
		return findings.Text()
	}
	if err := w.server.Apply(cfg, snap); err != nil {
		snap.Close()
		backends.Discard()
		pairs.Discard()
		modules.Discard()
		return err.Error()
	}
	modules.Commit()
	pairs.Commit()
	backends.Commit()
	return ""
}

// enough is the least time of those that a scenario gives only to have enough of it.
const enough = 1500 * time.Millisecond

// patiently gives plugins, backends and issuers as much time as they may need on a machine that
// pauses, except where a scenario is about time: then it names less.
func patiently(cfg *config.Config) {
	long := func(d *config.Duration, more time.Duration) {
		if *d == 0 || time.Duration(*d) >= enough {
			*d += config.Duration(more) // what differs goes on to differ
		}
	}
	for name, p := range cfg.Plugin {
		long(&p.Timeout, patience)
		p.Wait = config.Duration(patience)
		if p.HTTP != nil {
			long(&p.HTTP.Timeout, patience)
		}
		cfg.Plugin[name] = p
	}
	for name, b := range cfg.Backend {
		long(&b.ConnectTimeout, patience)
		cfg.Backend[name] = b
	}
	all := []map[string]config.Authorizer{cfg.Authorizer}
	for _, api := range cfg.API {
		all = append(all, api.Authorizer)
	}
	for _, some := range all {
		for name, a := range some {
			long(&a.KeysTimeout, patience/2)
			some[name] = a
		}
	}
}

// nobody records nothing.
type nobody struct{}

// Record does nothing.
func (nobody) Record(*proxy.Exchange) {}

// Addr returns where a listener listens.
func (w *assembly) Addr(listener string) string {
	addr := w.server.Addrs()[listener]
	if addr == nil {
		return ""
	}
	return addr.String()
}

// Close drains the gateway and stops it.
func (w *assembly) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.server.Drain(ctx) // a scenario may leave a request hanging
	if err := w.server.Close(); err != nil {
		w.t.Errorf("close the server: %v", err)
	}
	w.shadows.Close()
	if err := w.plugins.Close(); err != nil {
		w.t.Errorf("close the plugins: %v", err)
	}
	w.certificates.Close()
	w.kept.Close()
	w.backends.Close()
	w.answers.Close()
	w.issuers.Close()
}
