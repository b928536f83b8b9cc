package plugins

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/plugins/meter"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

const (
	// maxModule is the largest module file, in bytes.
	maxModule = 16 << 20
	// maxTable is the most elements a guest's table may have.
	maxTable = 100_000
	// maxDepth is how deeply a guest's calls may nest.
	maxDepth = 10_000

	pageSize = 64 << 10
)

// largeModule is the size in bytes from which on a module's load is followed by a
// collection: wazero allocates some 25 times a module's size to validate it and
// some 20 times to compile it, which otherwise stays until the heap has grown to
// three times that.
const largeModule = 512 << 10

// moduleKey identifies a compiled module: its file's content and the memory
// that the meter wrote into it.
type moduleKey struct {
	digest [sha256.Size]byte
	pages  uint32
}

func (k moduleKey) file() string {
	return fmt.Sprintf("%s-%d-%d-%d-%d.wasm", hex.EncodeToString(k.digest[:]), meter.Version, k.pages, maxTable, maxDepth)
}

// module is a compiled module. The host shares it among plugins and closes it
// with the last of them.
type module struct {
	key      moduleKey
	abi      guestABI
	groups   []string // capability groups that it imports from
	compiled wazero.CompiledModule
	exports  map[string]api.FunctionDefinition
	minimum  uint64 // bytes of linear memory that it starts with

	refs int // guarded by host.mu
}

// loadError is what is wrong with a module and what to do about it.
type loadError struct{ text, hint string }

func (e *loadError) Error() string { return e.text }

func refuse(hint, format string, args ...any) error {
	return &loadError{fmt.Sprintf(format, args...), hint}
}

// readModule reads a module's file.
func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, refuse("", "can't read the module: %v", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, refuse("", "can't read the module: %v", err)
	}
	if !st.Mode().IsRegular() {
		return nil, refuse("", "%s isn't a file", path)
	}
	if st.Size() > maxModule {
		return nil, tooBig(path, st.Size())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err != nil {
		return nil, refuse("", "can't read the module: %v", err)
	}
	if len(b) > maxModule { // it grew meanwhile
		return nil, tooBig(path, int64(len(b)))
	}
	return b, nil
}

func tooBig(path string, size int64) error {
	return refuse("strip debug sections, or build with optimisation for size",
		"%s has %d bytes; at most %d are allowed", path, size, maxModule)
}

// checkHeader tells a module from what people take for one.
func checkHeader(path string, b []byte) error {
	magic := []byte("\x00asm")
	switch {
	case len(b) == 0:
		return refuse("", "%s is empty", path)
	case !bytes.HasPrefix(b, magic):
		hint := "compile the plugin to WebAssembly first"
		if bytes.HasPrefix(bytes.TrimSpace(b), []byte("(")) {
			hint = "this looks like WebAssembly text; translate it with wat2wasm"
		}
		if bytes.HasPrefix(b, []byte("\x1f\x8b")) {
			hint = "this looks like a bundle of opa build; take the policy out of it: tar -xzf BUNDLE /policy.wasm"
		}
		return refuse(hint, `%s isn't a WebAssembly module: it doesn't begin with "\0asm"`, path)
	case len(b) < 8:
		return refuse("the file is cut off", "%s ends within its header", path)
	case bytes.Equal(b[4:8], []byte{0x0d, 0, 1, 0}):
		return refuse("build a core module: target wasm32-wasip1 instead of wasip2, or unwrap it with `wasm-tools component unbundle`",
			"%s is a component; only core modules can run", path)
	case !bytes.Equal(b[4:8], []byte{1, 0, 0, 0}):
		return refuse("", "%s has the unknown WebAssembly version %#x", path, b[4:8])
	}
	return nil
}

// compile makes a module from the bytes of a file.
func (h *Host) compile(ctx context.Context, key moduleKey, wasm []byte, want string) (*module, error) {
	metered := h.store.load(key.file())
	if metered == nil {
		wasm = meter.OwnMemory(wasm)
		// The meter first: it believes no count, wazero reserves memory for each that
		// a module claims. What it makes of code that isn't valid nobody runs.
		rewritten, err := meter.Rewrite(wasm, meter.Limits{MemoryPages: key.pages, TableElements: maxTable, Depth: maxDepth})
		if err != nil {
			return nil, refuseLimits(err, key.pages)
		}
		err = h.validate(ctx, wasm, want)
		if len(wasm) >= largeModule {
			debug.FreeOSMemory() // before the compiler takes as much
		}
		if err != nil {
			return nil, err
		}
		metered = rewritten
		if err := h.store.save(key.file(), metered); err != nil {
			h.logger.Warn("the cache of compiled plugins can't be written", zap.Error(err))
		}
	}
	compiled, err := h.compileCached(ctx, metered)
	if len(metered) >= largeModule {
		debug.FreeOSMemory()
	}
	if err != nil {
		return nil, refuse("", "compile the module: %v", err)
	}
	m, err := newModule(key, compiled, want)
	if err != nil {
		_ = compiled.Close(ctx) // nothing runs of it yet
		return nil, err
	}
	return m, nil
}

// compileCached compiles what is known to be valid. wazero fails on a damaged
// entry of its cache and on a full disk; then all entries go, and it tries again.
func (h *Host) compileCached(ctx context.Context, wasm []byte) (wazero.CompiledModule, error) {
	compiled, err := h.runtime.CompileModule(ctx, wasm)
	if err == nil || h.store.dir == "" {
		return compiled, err
	}
	h.logger.Warn("the cache of compiled plugins is emptied", zap.Error(err))
	entries, _ := filepath.Glob(filepath.Join(filepath.Dir(h.store.dir), "wazero-*", "*")) // the pattern is well-formed
	for _, entry := range entries {
		_ = os.Remove(entry) // one that stays fails again below
	}
	return h.runtime.CompileModule(ctx, wasm)
}

func refuseLimits(err error, pages uint32) error {
	var limit *meter.LimitError
	if errors.As(err, &limit) && limit.What == "memory" {
		return refuse(fmt.Sprintf(`set memory = "%dKiB" or more`, limit.Need*pageSize>>10),
			"the module starts with %d KiB of memory; memory allows %d KiB", limit.Need*pageSize>>10, uint64(pages)*pageSize>>10)
	}
	return refuse("", "the module isn't valid: %v", err)
}

// validate checks the module as its author wrote it: the meter must only see
// valid code. An interpreter does it without generating any.
func (h *Host) validate(ctx context.Context, wasm []byte, want string) error {
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).WithDebugInfoEnabled(false))
	defer r.Close(ctx)
	compiled, err := r.CompileModule(ctx, wasm)
	if err != nil {
		return refuse("", "the module isn't valid: %v", err)
	}
	_, err = newModule(moduleKey{}, compiled, want)
	return err
}

// newModule finds out which ABI a module speaks, and checks what it imports and
// exports. want is "auto" or an ABI.
func newModule(key moduleKey, compiled wazero.CompiledModule, want string) (*module, error) {
	m := &module{key: key, compiled: compiled, exports: compiled.ExportedFunctions()}
	memory, ok := compiled.ExportedMemories()[abi.ExportMemory]
	if !ok {
		return nil, refuse("", "the module doesn't export its memory as %q", abi.ExportMemory)
	}
	m.minimum = uint64(memory.Min()) * pageSize
	var err error
	if m.abi, err = abiFor(m, want); err != nil {
		return nil, err
	}
	if err := m.checkImports(); err != nil {
		return nil, err
	}
	return m, m.abi.check(m)
}

// checkImports compares the module's imports with what the host provides. The
// list of imports is what a plugin asks for, so each of them is named.
func (m *module) checkImports() error {
	all := providedTo(m.abi)
	var unknown, sockets []string
	for _, f := range m.compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		want, ok := all[from+"."+name]
		switch got := letters(f.ParamTypes()) + ":" + letters(f.ResultTypes()); {
		case from == abi.WASI && strings.HasPrefix(name, "sock_"):
			sockets = append(sockets, name)
		case !ok:
			unknown = append(unknown, from+"."+name)
		case got != want.signature:
			return refuse("", "the module imports %s.%s as (%s), but it is (%s)", from, name, got, want.signature)
		case want.group != "" && !slices.Contains(m.groups, want.group):
			m.groups = append(m.groups, want.group)
		}
	}
	for _, memory := range m.compiled.ImportedMemories() {
		from, name, _ := memory.Import()
		unknown = append(unknown, from+"."+name+" (memory)")
	}
	if len(sockets) > 0 {
		return refuse("a plugin has no network; leave out what opens sockets (in Go: net and net/http)",
			"the module imports sockets: %s", strings.Join(sockets, ", "))
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		hint := fmt.Sprintf("plugins of the ABI %q may import from: %s", m.abi.name(), moduleNames(all))
		if slices.ContainsFunc(unknown, func(name string) bool { return strings.HasPrefix(name, abi.Module) }) {
			hint = fmt.Sprintf("this release has version %d.%d of postern's ABI: a plugin that needs a later one needs a later release; %s", abi.Major, abi.Minor, hint)
		}
		return refuse(hint, "the module imports what isn't provided: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// moduleNames lists the modules of all, but for the meter's.
func moduleNames(all map[string]provided) string {
	var names []string
	for name := range all {
		if from := name[:strings.LastIndexByte(name, '.')]; from != meter.Module && !slices.Contains(names, from) {
			names = append(names, from)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func letters(types []api.ValueType) string {
	var b strings.Builder
	for _, t := range types {
		switch t {
		case api.ValueTypeI32:
			b.WriteByte('i')
		case api.ValueTypeI64:
			b.WriteByte('I')
		default:
			b.WriteString(" " + api.ValueTypeName(t) + " ")
		}
	}
	return b.String()
}

// importsFrom reports whether the module imports functions from a module.
func (m *module) importsFrom(name string) bool {
	return slices.ContainsFunc(m.compiled.ImportedFunctions(), func(f api.FunctionDefinition) bool {
		from, _, _ := f.Import()
		return from == name
	})
}

// mustExport refuses a module without the export name, or where that isn't as
// want says: letters of parameters, ":", letters of results.
func (m *module) mustExport(name, want string) error {
	f := m.exports[name]
	if f == nil {
		return refuse("", "the module doesn't export %s", name)
	}
	if got := letters(f.ParamTypes()) + ":" + letters(f.ResultTypes()); got != want {
		return refuse("", "the module exports %s as (%s), but it is (%s)", name, got, want)
	}
	return nil
}

// checkSignature checks an export without parameters, if it is there.
func (m *module) checkSignature(name, results string) error {
	f := m.exports[name]
	if f == nil {
		return nil
	}
	if len(f.ParamTypes()) > 0 || letters(f.ResultTypes()) != results {
		return refuse("", "the export %s must have no parameters and %d results", name, len(results))
	}
	return nil
}

// describe makes a finding of err.
func describe(cfg *config.Config, path []string, err error) config.Finding {
	var load *loadError
	if errors.As(err, &load) {
		return cfg.Finding(path, load.text, load.hint)
	}
	return cfg.Finding(path, err.Error(), "")
}

// importsAny reports whether the module imports any of these functions.
func (m *module) importsAny(from string, names ...string) bool {
	return slices.ContainsFunc(m.compiled.ImportedFunctions(), func(f api.FunctionDefinition) bool {
		module, name, _ := f.Import()
		return module == from && slices.Contains(names, name)
	})
}
