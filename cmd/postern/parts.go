package main

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strconv"
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
	"github.com/postern-gateway/postern/proxy/observe"
	"github.com/postern-gateway/postern/proxy/shadow"
	"github.com/postern-gateway/postern/proxy/snapshot"
	"github.com/postern-gateway/postern/proxy/upstream"
	"github.com/postern-gateway/postern/proxy/usage"
	"github.com/postern-gateway/postern/proxy/websocket"
)

// parts are what snapshots are built from, and what outlives them.
type parts struct {
	logger       *zap.Logger
	plugins      *plugins.Host
	backends     *upstream.Set
	usage        *usage.Ledger
	state        string // where the ledger's state is; "" while it has none
	guards       *guard.Memory
	shadows      *shadow.Set
	kept         *responsecache.Memory
	answers      *authorizer.Decisions
	issuers      *authorizer.Issuers
	sockets      *websocket.Hub
	certificates *certificate.Keeper
}

// newParts starts the Wasm host and the set of backends. Without a folder to
// keep compiled plugins in, they are compiled at each start.
func newParts(cfg *config.Config, logger *zap.Logger) (*parts, error) {
	o := plugins.Options{Logger: logger.Named("plugin")}
	if dir, err := dataDir(cfg); err == nil {
		o.CacheDir, o.ArtifactDir = filepath.Join(dir, "plugins"), artifactDir(dir)
	}
	host, err := plugins.NewHost(o)
	if err != nil && o.CacheDir != "" {
		logger.Warn("compiled plugins can't be kept, every start compiles them anew", zap.Error(err))
		o.CacheDir = ""
		host, err = plugins.NewHost(o)
	}
	if err != nil {
		return nil, err
	}
	keeping := certificate.Options{Logger: logger.Named("certificate"), Extensions: host}
	if dir, err := dataDir(cfg); err == nil {
		keeping.Store = certificate.NewDirectory(filepath.Join(dir, "certificates"))
	}
	return &parts{
		certificates: certificate.New(keeping), sockets: websocket.NewHub(logger.Named("websocket")),
		logger: logger, plugins: host, answers: authorizer.NewDecisions(), guards: guard.NewMemory(), shadows: shadow.NewSet(), kept: responsecache.NewMemory(), issuers: authorizer.NewIssuers(logger.Named("authorizer")),
		usage:    usage.New(usage.Options{Logger: logger.Named("usage")}),
		backends: upstream.NewSet(upstream.Options{Logger: logger.Named("upstream")}),
	}, nil
}

// close ends all of them; no snapshot may be in use any more.
func (p *parts) close() {
	p.shadows.Close()
	if err := p.plugins.Close(); err != nil {
		p.logger.Warn("the plugins' runtime didn't end well", zap.Error(err))
	}
	p.kept.Close()
	p.backends.Close()
	if err := p.usage.Detach(); err != nil {
		p.logger.Error("the state didn't end well", zap.Error(err))
	}
	p.certificates.Close()
	p.answers.Close()
	p.issuers.Close()
}

// options are what the builtin kinds need of p.
func (p *parts) options() builtins.Options {
	return builtins.Options{Guards: p.guards, Answers: p.kept, Sockets: p.sockets, Usage: counting.Options{Ledger: p.usage}, Authorizers: authorizer.Options{Decisions: p.answers, Issuers: p.issuers}}
}

// candidate is a snapshot that may come to serve, with the generations of
// plugins, backends and certificates that go with it.
type candidate struct {
	snapshot     *snapshot.Snapshot
	plugins      *plugins.Generation
	backends     *upstream.Generation
	certificates *certificate.Generation
}

// recorders have who records the exchanges of a stage, and of its canary.
type recorders interface {
	Stage(api, name string) proxy.Recorder
	Canary(api, name string) proxy.Recorder
}

// build makes everything of cfg that needs no listener, with what r says the stages
// run; nil is cfg itself. The candidate is nil when the findings have an error.
func (p *parts) build(ctx context.Context, cfg *config.Config, r *rollout, to recorders) (*candidate, config.Findings) {
	if r == nil {
		r = &rollout{cfg: cfg}
	}
	findings := append(checkCertificates(cfg), checkAges(cfg, time.Now())...)
	findings = append(findings, observe.Check(cfg, contextVariable)...)
	modules, more := p.plugins.Begin(ctx, r.cfg)
	findings = append(findings, more...)
	if modules == nil {
		return nil, findings
	}
	c := &candidate{plugins: modules, backends: p.backends.Begin()}
	c.certificates, more = p.certificates.Begin(ctx, cfg)
	findings = append(findings, more...)
	c.snapshot, more = snapshot.Compile(cfg, snapshot.Options{
		Kinds:    append(builtins.Kinds(p.options()), modules.Kinds()...),
		Logger:   p.logger,
		Backend:  c.backends.Backend,
		Function: modules.Function,
		Recorder: to.Stage, CanaryRecorder: to.Canary,
		Mirror: p.shadows.Mirror, Running: r.running, Undeployed: r.anew,
		Before: r.serving, Keep: c.backends.Keep,
	})
	findings = append(findings, more...)
	if findings.Failed() {
		c.discard()
		return nil, findings
	}
	return c, findings
}

// commit lets go of what only the configuration before used.
func (c *candidate) commit() {
	c.plugins.Commit()
	c.certificates.Commit() // which may call them
	c.backends.Commit()
}

// discard gives everything up.
func (c *candidate) discard() {
	if c.snapshot != nil {
		c.snapshot.Close()
	}
	if c.certificates != nil {
		c.certificates.Discard()
	}
	c.backends.Discard()
	c.plugins.Discard()
}

// checkCertificates reads the listeners' certificates as the server does when
// the listeners are opened, for findings with a place.
func checkCertificates(cfg *config.Config) config.Findings {
	var findings config.Findings
	if _, err := adminCertificate(cfg); err != nil {
		findings = append(findings, cfg.Finding([]string{"admin", "tls"}, err.Error(), ""))
	} else if _, err := adminTLS(cfg); err != nil {
		findings = append(findings, cfg.Finding([]string{"admin", "tls", "ca"}, err.Error(), ""))
	}
	for _, name := range sortedKeys(cfg.Listen) {
		l := cfg.Listen[name]
		if l.TLS == nil {
			continue
		}
		for i, pair := range l.TLS.Certificates {
			if _, err := tls.LoadX509KeyPair(pair.Cert, pair.Key); err != nil {
				at := []string{"listen", name, "tls", "certificates", strconv.Itoa(i)}
				findings = append(findings, cfg.Finding(at, err.Error(), ""))
			}
		}
	}
	return findings
}

// artifactDir is where modules from registries are kept below dir, the dataDir.
func artifactDir(dir string) string { return filepath.Join(dir, "artifacts") }

// dataDir returns the folder for what the gateway keeps between runs.
func dataDir(cfg *config.Config) (string, error) {
	if cfg.DataDir != "" {
		return cfg.DataDir, nil
	}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" { // systemd
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "postern"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no folder to keep state in: set data_dir")
	}
	return filepath.Join(home, ".local", "state", "postern"), nil
}
