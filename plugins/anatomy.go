package plugins

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"

	"github.com/postern-gateway/postern/plugins/manifest"
	"github.com/postern-gateway/postern/plugins/meter"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// Anatomy is what can be told of a module without a request.
type Anatomy struct {
	SHA256   string             `json:"sha256"`
	Size     int                `json:"size"`            // bytes
	ABI      string             `json:"abi,omitempty"`   // "" when no ABI fits
	Roles    []string           `json:"roles,omitempty"` // with a Refusal: those of its manifest, else its exports
	Imports  []Import           `json:"imports"`
	Exports  []string           `json:"exports"`
	Memory   Memory             `json:"memory"`
	Manifest *manifest.Manifest `json:"manifest,omitempty"`
	// Groups are the capability groups that it imports from.
	Groups []string `json:"groups,omitempty"`
	// Refusal is why it can't be loaded as configured; "" when it can.
	Refusal string `json:"refusal,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Import is one function that a module imports.
type Import struct {
	Module   string `json:"module"`
	Name     string `json:"name"`
	Group    string `json:"group,omitempty"` // capability group; "" for none
	Provided bool   `json:"provided"`        // with this signature
}

// Memory is a module's linear memory, in bytes.
type Memory struct {
	Minimum uint64 `json:"minimum"`
	Maximum uint64 `json:"maximum,omitempty"` // 0 when the module names none
}

// Examine takes the plugin called name in cfg apart, and starts it once, for
// what only it can tell. The findings are about its file; a module that is there
// but can't be loaded has a Refusal.
func (h *Host) Examine(ctx context.Context, cfg *config.Config, name string) (*Anatomy, config.Findings) {
	o := cfg.Plugin[name]
	from := &sources{Supply(h.artifacts, cfg), LockFile(cfg)}
	wasm, digest, key, err := from.read(ctx, o)
	if err != nil {
		return nil, findings(cfg, []string{"plugin", name, key}, err)
	}
	a := &Anatomy{SHA256: hex.EncodeToString(digest[:]), Size: len(wasm)}
	if err := a.dissect(ctx, wasm, o.ABI); err != nil {
		a.refuse(err)
		return a, nil
	}
	p, _, err := h.load(ctx, name, o, wasm, digest)
	if err != nil {
		a.refuse(err)
		// What it may not do keeps it from nothing at its start.
		p, _, err = h.load(ctx, name, granting(o, a.Groups), wasm, digest)
	}
	if err != nil {
		a.guessRoles()
		return a, nil
	}
	defer h.release(p)
	a.Roles = roleNames(p.roles)
	return a, nil
}

// guessRoles tells the roles of a native module that can't be asked for them: an
// SDK may export more than the plugin has, so its manifest's word comes first.
func (a *Anatomy) guessRoles() {
	if a.Manifest != nil && len(a.Manifest.Roles) > 0 {
		a.Roles = a.Manifest.Roles
		return
	}
	for _, r := range abi.Roles() {
		if slices.Contains(a.Exports, r.Export) {
			a.Roles = append(a.Roles, r.Name)
		}
	}
}

func (a *Anatomy) refuse(err error) {
	var load *loadError
	if a.Refusal = err.Error(); errors.As(err, &load) {
		a.Hint = load.hint
	}
}

// dissect fills in what stands in the module.
func (a *Anatomy) dissect(ctx context.Context, wasm []byte, want string) error {
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).WithDebugInfoEnabled(false))
	defer r.Close(ctx)
	compiled, err := r.CompileModule(ctx, meter.OwnMemory(wasm))
	if err != nil {
		return refuse("", "the module isn't valid: %v", err)
	}
	for _, m := range compiled.ExportedMemories() {
		a.Memory.Minimum = uint64(m.Min()) * pageSize
		if pages, bounded := m.Max(); bounded {
			a.Memory.Maximum = uint64(pages) * pageSize
		}
	}
	for name := range compiled.ExportedFunctions() {
		a.Exports = append(a.Exports, name)
	}
	slices.Sort(a.Exports)
	m := &module{compiled: compiled, exports: compiled.ExportedFunctions()}
	speaks, noABI := abiFor(m, want)
	all := map[string]provided{}
	if speaks != nil {
		a.ABI = speaks.name()
		all = providedTo(speaks)
	}
	for _, f := range compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		known, ok := all[from+"."+name]
		i := Import{Module: from, Name: name, Group: known.group}
		i.Provided = ok && known.signature == letters(f.ParamTypes())+":"+letters(f.ResultTypes())
		if !slices.Contains(a.Imports, i) { // one may be imported twice
			a.Imports = append(a.Imports, i)
		}
		if i.Group != "" && !slices.Contains(a.Groups, i.Group) {
			a.Groups = append(a.Groups, i.Group)
		}
	}
	slices.SortFunc(a.Imports, func(x, y Import) int { return strings.Compare(x.Module+"."+x.Name, y.Module+"."+y.Name) })
	slices.Sort(a.Groups)
	if a.Manifest, err = manifest.Read(wasm); err != nil {
		return err
	}
	return noABI
}

func roleNames(roles uint32) []string {
	var names []string
	for _, r := range abi.Roles() {
		if roles&r.Bit != 0 {
			names = append(names, r.Name)
		}
	}
	return names
}
