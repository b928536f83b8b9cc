package plugins

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/plugins/manifest"
	"github.com/postern-gateway/postern/plugins/supply"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Generation is the plugins of one configuration. What two configurations have
// alike, they share: the compiled module and the pool of instances.
type Generation struct {
	host    *Host
	plugins map[string]*plugin // by configured name
	failed  map[string]bool    // there is a finding already
	budget  int64              // of the memory of all plugins, bytes
	sizes   map[string]int64   // of the namespaces of kv, bytes
}

// Begin loads, checks and compiles every plugin of cfg, and starts an instance
// of each that is new. Plugins whose file and options didn't change are the
// running ones.
//
// The generation is never nil: with findings it serves to look for further ones
// and is then given up with Discard; without, Commit makes it the running one.
func (h *Host) Begin(ctx context.Context, cfg *config.Config) (*Generation, config.Findings) {
	h.loading.Lock()
	defer h.loading.Unlock()
	g := &Generation{host: h, plugins: map[string]*plugin{}, failed: map[string]bool{}, budget: int64(cfg.MemoryBudget), sizes: map[string]int64{}}
	h.mu.Lock()
	if h.current == nil { // later the running plugins' holds until Commit
		h.budget.limit.Store(g.budget)
	}
	h.mu.Unlock()
	from := &sources{Supply(h.artifacts, cfg), LockFile(cfg)}
	fetching, done := context.WithTimeout(ctx, supply.FetchTimeout) // of all registries together
	defer done()
	names := slices.Sorted(maps.Keys(cfg.Plugin))
	all := g.sizeSpaces(cfg, names)
	for _, name := range names {
		o := cfg.Plugin[name]
		var p *plugin
		wasm, digest, key, err := from.read(fetching, o)
		if err == nil {
			p, key, err = h.load(ctx, name, o, wasm, digest)
		}
		if err != nil {
			g.failed[name] = true
			all = append(all, findings(cfg, []string{"plugin", name, key}, err)...)
			continue
		}
		g.plugins[name] = p
		all = append(all, p.wanting(cfg, name)...)
		all = append(all, p.idleGrants(cfg)...)
	}
	all = append(all, g.checkNames(cfg)...)
	if dir := h.cacheDir; dir != "" {
		if err := trimCache(dir, cacheMost); err != nil {
			h.logger.Warn("the cache of compiled plugins can't be trimmed", zap.Error(err))
		}
	}
	return g, all
}

// Commit makes g the running generation and gives up the one before.
func (g *Generation) Commit() {
	h := g.host
	h.mu.Lock()
	before := h.current
	h.current = g
	h.budget.limit.Store(g.budget)
	h.resizeSpaces(g)
	h.mu.Unlock()
	if before != nil {
		g.tellUpgrades(before)
		before.release()
	}
}

// Discard gives up a generation that wasn't committed.
func (g *Generation) Discard() { g.release() }

func (g *Generation) release() {
	for _, p := range g.plugins {
		g.host.release(p)
	}
	clear(g.plugins)
}

// load returns the plugin that name and o describe, whose module is wasm,
// referred to once more. With an error it returns the option that is to blame.
func (h *Host) load(ctx context.Context, name string, o config.Plugin, wasm []byte, digest [sha256.Size]byte) (p *plugin, key string, err error) {
	settings, option, err := settingsOf(o)
	if err != nil {
		return nil, option, err
	}
	moduleKey := moduleKey{digest, uint32(o.Memory / pageSize)}
	identity := fmt.Sprintf("%s %x %d %s", name, digest, moduleKey.pages, settings.identity)
	if p := h.running(identity); p != nil {
		return p, "", nil
	}
	m, err := h.module(ctx, moduleKey, wasm, o.ABI)
	if err != nil {
		return nil, "module", err
	}
	key, err = checkWasmOptions(m.abi, o)
	if err == nil {
		key, err = m.abi.checkOptions(o)
	}
	if err == nil {
		key, err = "isolation", checkIsolation(m.abi, o)
	}
	if err == nil {
		key, err = "module", checkGrants(m, name, o)
	}
	var said *manifest.Manifest
	if err == nil {
		said, key, err = readManifest(wasm, settings.config)
	}
	if err != nil {
		h.releaseModule(m)
		return nil, key, err
	}
	p = h.newPlugin(name, identity, m, o, settings)
	p.manifest = said
	if key, err = p.grant(o, settings); err == nil {
		key, err = p.warm(isolation(o.Isolation))
	}
	if err != nil {
		p.close()
		h.releaseModule(m)
		return nil, key, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p.refs = 1
	h.plugins[identity] = p
	return p, "", nil
}

// settings are a plugin's options in the form in which it uses them.
type settings struct {
	identity string // tells options apart
	config   string
	rootID   string
	environ  []string

	authorities []byte // of requests: http.ca as PEM
}

func settingsOf(o config.Plugin) (s settings, option string, err error) {
	s.config = "{}"
	if o.Config != nil {
		text, err := json.Marshal(o.Config)
		if err != nil {
			return s, "config", fmt.Errorf("it can't be written as JSON: %w", err)
		}
		s.config = string(text)
	}
	s.rootID = o.RootID
	if o.ConfigText != "" {
		s.config = o.ConfigText
	}
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		if name == "" || bytes.ContainsAny([]byte(name), "=\x00") || bytes.ContainsRune([]byte(o.Env[name]), 0) {
			return s, "env", refuse("", "environment variable %q: a name has neither \"=\" nor a zero byte, a value no zero byte", name)
		}
		s.environ = append(s.environ, name+"="+o.Env[name])
	}
	s.identity = fmt.Sprintf("%s %s %s %d %d %d %q %q %q %s %s", o.ABI, o.OnError, o.Isolation, o.Timeout, o.MaxInstances, o.Wait,
		s.environ, s.rootID, o.Function, o.Payload, s.config)
	option, err = s.addGrants(o)
	return s, option, err
}

// running returns the live plugin with this identity, referred to once more.
func (h *Host) running(identity string) *plugin {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.plugins[identity]
	if p != nil {
		p.refs++
	}
	return p
}

// module returns the compiled module for key, referred to once more. An ABI
// that was asked for is checked even when the module is there already.
func (h *Host) module(ctx context.Context, key moduleKey, wasm []byte, want string) (*module, error) {
	h.mu.Lock()
	m := h.modules[key]
	if m != nil {
		m.refs++
	}
	h.mu.Unlock()
	if m != nil {
		if want != "auto" && want != "" && want != m.abi.name() {
			h.releaseModule(m)
			return nil, refuse("", "the module speaks the ABI %q, also in another plugin", m.abi.name())
		}
		return m, nil
	}
	m, err := h.compile(ctx, key, wasm, want)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m.refs = 1
	h.modules[key] = m
	return m, nil
}

func (h *Host) releaseModule(m *module) {
	h.mu.Lock()
	m.refs--
	last := m.refs == 0
	if last {
		delete(h.modules, m.key)
	}
	h.mu.Unlock()
	if last {
		_ = m.compiled.Close(context.Background()) // forgets it; there is nothing that could fail
	}
}

// acquire refers to p once more.
func (h *Host) acquire(p *plugin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.refs++
}

// release gives a reference up. The last one closes the plugin.
func (h *Host) release(p *plugin) {
	h.mu.Lock()
	p.refs--
	last := p.refs == 0
	if last {
		delete(h.plugins, p.identity)
	}
	h.mu.Unlock()
	if last {
		p.close()
		h.releaseModule(p.module)
	}
}

func (h *Host) newPlugin(name, identity string, m *module, o config.Plugin, s settings) *plugin {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.counters[name]
	if c == nil {
		c = &counters{}
		h.counters[name] = c
	}
	limit := uint64(o.Memory)
	p := &plugin{
		host: h, name: name, identity: identity, module: m, counters: c,
		logger: h.logger.With(zap.String("plugin", name)), config: s.config, rootID: s.rootID, function: o.Function, payload: o.Payload, environ: s.environ, optional: o.OnError == "continue",
		timeout: time.Duration(o.Timeout), wait: time.Duration(o.Wait),
		// Most of the way from what it starts with to what it may have.
		memoryMark: m.minimum + (limit-min(limit, m.minimum))*3/4,
		slots:      slots{most: max(1, o.MaxInstances)},
		busy:       proxy.Fault{Kind: proxy.Overloaded, Cause: fmt.Errorf("plugin %q: %w", name, errBusy)},
		full:       proxy.Fault{Kind: proxy.Overloaded, Cause: fmt.Errorf("plugin %q: %w", name, errBudget)},
	}
	p.binding, _ = m.abi.(bindingABI)
	if p.binding != nil && (o.Isolation == "" || isolation(o.Isolation) == isolationShared) {
		p.bound = newBoundPool(p, o.MaxInstances, h.commonsOf(name))
	}
	return p
}

// warm starts the first instance, which also tells which roles the plugin has
// and how its instances can be kept apart. With an error it returns the option
// that is to blame.
func (p *plugin) warm(want isolation) (key string, err error) {
	in, err := newInstance(p)
	switch {
	case errors.Is(err, errBudget):
		return "module", refuse("raise memory_budget", "the plugin doesn't start: %v", errBudget)
	case err != nil:
		return "module", notStarting(err)
	}
	keep := false
	defer func() {
		if !keep {
			in.close()
		}
	}()
	if err := p.isolate(in, want); err != nil {
		return "isolation", err
	}
	if p.isolation == isolationReset {
		if err := in.snap(); err != nil {
			return "module", refuse("", "the plugin doesn't start: %v", err)
		}
	}
	if p.roles, err = p.module.abi.greet(in); err != nil {
		return "module", err
	}
	if a, ok := p.module.abi.(bodyABI); ok {
		p.readsRequests, p.readsResponses = a.bodies(in)
	}
	if a, ok := p.module.abi.(streamingABI); ok {
		p.pulls, p.sends = a.streams(in)
	}
	in.end()
	keep = p.keep(in, p.host.now())
	return "", nil
}

func notStarting(err error) error {
	hint := ""
	var load *loadError
	if errors.As(err, &load) {
		hint = load.hint
	}
	return refuse(hint, "the plugin doesn't start: %v", err)
}
