// Package plugins runs WebAssembly plugins: it loads and checks modules,
// rewrites them so that they can be stopped, keeps bounded pools of instances
// over reloads, and makes the steps that call them. ABI.md is what a guest sees.
package plugins

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"go.uber.org/zap"
)

// Options are what a Host needs from outside.
type Options struct {
	Logger *zap.Logger // gets the plugins' log lines; nil drops them
	// CacheDir keeps compiled modules between runs; "" keeps none. It holds
	// native code: the host makes it readable by its own user only and refuses
	// one that others can write to.
	CacheDir string
	// ArtifactDir keeps modules from registries, so that no later start needs a
	// network; "" keeps none.
	ArtifactDir string
	Clock       func() time.Time // what guests see as the time; nil is time.Now
	Entropy     io.Reader        // what guests get as random bytes; nil is crypto/rand
	// Trace is told every host function that a guest calls, on the goroutine that
	// runs the guest. It is for tools: nil costs nothing.
	Trace func(HostCall)
}

// Host owns the WebAssembly runtime, the compiled modules and the pools of
// instances. They outlive configurations. Safe for concurrent use.
type Host struct {
	// Set at construction.
	logger  *zap.Logger
	clock   func() time.Time
	entropy io.Reader
	base    time.Time // deadlines are counted in monotonic time since then
	cache   wazero.CompilationCache
	runtime wazero.Runtime
	store   store
	budget  budget
	turns   turns

	cacheDir string // "" when nothing is kept

	artifacts string // Options.ArtifactDir
	tracer    *tracer

	loading sync.Mutex // one module is compiled at a time

	mu       sync.Mutex // guards what follows
	modules  map[moduleKey]*module
	plugins  map[string]*plugin // by the key of their name, module and options
	counters map[string]*counters
	commons  map[string]*wasmCommons // of plugins that run, by name
	spaces   map[string]*space       // of kv, by name
	accounts map[accountKey]*account
	current  *Generation
	closed   bool
}

// features are what guests may use: Core 2.0 and what compilers emit besides
// by default.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesTailCall

// NewHost starts a runtime. It fails when the cache folder can't be used.
func NewHost(o Options) (*Host, error) {
	h := &Host{
		logger: o.Logger, clock: o.Clock, entropy: o.Entropy, base: time.Now(),
		artifacts: o.ArtifactDir,
		modules:   map[moduleKey]*module{}, plugins: map[string]*plugin{}, counters: map[string]*counters{},
		spaces: map[string]*space{}, accounts: map[accountKey]*account{},
	}
	h.budget.limit.Store(defaultBudget)
	h.turns = newTurns()
	if h.logger == nil {
		h.logger = zap.NewNop()
	}
	if h.clock == nil {
		h.clock = time.Now
	}
	if h.entropy == nil {
		h.entropy = rand.Reader
	}
	h.tracer = newTracer(o.Trace)
	// Custom sections stay out; guests are interrupted by plugins/meter, never by
	// WithCloseOnContextDone, which slows loops down by 6 to 24 times.
	rc := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features).WithDebugInfoEnabled(false)
	if o.CacheDir != "" {
		if err := privateDir(o.CacheDir); err != nil {
			return nil, err
		}
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("open the cache of compiled plugins %s: %w", o.CacheDir, err)
		}
		h.cache, h.cacheDir = cache, o.CacheDir
		rc = rc.WithCompilationCache(cache)
		h.store = store{dir: filepath.Join(o.CacheDir, "metered")}
	}
	ctx := context.Background()
	h.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	if err := h.provide(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// privateDir makes dir for this user only, and refuses one that others may
// write to: whoever can, could run code as the gateway.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the cache of compiled plugins: %w", err)
	}
	st, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the cache of compiled plugins: %w", err)
	}
	if st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("cache of compiled plugins %s: others may write to it (mode %v); it must belong to the gateway alone (chmod 700)", dir, st.Mode().Perm())
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("make the cache of compiled plugins private: %w", err)
	}
	return nil
}

// Close ends every plugin and the runtime. Nothing may run any more: the
// snapshots that were made from the host's kinds are closed before it.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	current := h.current
	h.current = nil
	h.mu.Unlock()
	if current != nil {
		current.release()
	}
	ctx := context.Background()
	err := h.runtime.Close(ctx)
	if h.cache != nil {
		err = errors.Join(err, h.cache.Close(ctx))
	}
	return err
}

// Stats are one plugin's figures. Counts are totals since the host started, over
// all reloads; Instances and Memory are what is there now.
type Stats struct {
	Name      string
	Calls     uint64        // finished, in whatever way
	Traps     uint64        // ended by a trap, an exit or a failure of the guest's own
	Deadlines uint64        // stopped at their deadline
	Busy      uint64        // requests that got no instance in time, or came too fast
	Queued    time.Duration // that requests waited for an instance
	Started   uint64        // instances ever made
	LogsLost  uint64        // log lines dropped by the limits
	Refused   uint64        // requests that got no call while the plugin was unhealthy
	Unhealthy bool          // it failed too often in a row and isn't called for a while
	Instances int64
	Memory    int64 // linear memory of all instances and what they are reset to, bytes
	Costs     []Cost
	Metrics   []Metric
}

// Stats returns the figures of every plugin that the host ever ran, by name.
func (h *Host) Stats() []Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Stats, 0, len(h.counters))
	for name, c := range h.counters {
		s := c.read(name)
		s.Costs, s.Metrics = h.costs(name), c.shown.read()
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Stats) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// now is the monotonic time that deadlines are counted in, nanoseconds.
func (h *Host) now() int64 { return int64(time.Since(h.base)) }
