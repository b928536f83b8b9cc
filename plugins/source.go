package plugins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/plugins/manifest"
	"github.com/postern-gateway/postern/plugins/supply"
	"github.com/postern-gateway/postern/proxy/config"
)

// sources are where the modules of one configuration come from.
type sources struct {
	remote *supply.Source
	lock   string // the lock file
}

// Supply returns the source of modules from registries as cfg describes them;
// they are kept below dir.
func Supply(dir string, cfg *config.Config) *supply.Source {
	registries := map[string]supply.Registry{}
	for host, r := range cfg.Registry {
		registries[host] = supply.Registry{Username: r.Username, Password: r.Password, CA: r.CA, PlainHTTP: r.PlainHTTP}
	}
	return supply.New(dir, registries)
}

// LockFile returns the path of the lock file of cfg.
func LockFile(cfg *config.Config) string { return cfg.File(supply.LockFile) }

// Module returns the module of a plugin of cfg, checked as Begin does.
func (h *Host) Module(ctx context.Context, cfg *config.Config, name string) ([]byte, error) {
	from := &sources{Supply(h.artifacts, cfg), LockFile(cfg)}
	fetching, done := context.WithTimeout(ctx, supply.FetchTimeout)
	defer done()
	wasm, _, _, err := from.read(fetching, cfg.Plugin[name])
	return wasm, err
}

// read returns the module that o names, with its signature checked if it has to
// have one. With an error it returns the option that is to blame.
func (s *sources) read(ctx context.Context, o config.Plugin) (wasm []byte, digest [sha256.Size]byte, key string, err error) {
	if o.Signature != "" && o.PublicKey == "" {
		return nil, digest, "signature", refuse("set public_key", "nothing tells whose signature it has to be")
	}
	var signature []byte
	if supply.Remote(o.Module) {
		wasm, signature, err = s.fetch(ctx, o.Module)
	} else {
		wasm, err = readModule(o.Module)
	}
	if err == nil {
		digest = sha256.Sum256(wasm)
		if err = checkDigest(o.Module, digest, o.SHA256); err == nil {
			err = checkHeader(o.Module, wasm)
		}
	}
	if err != nil {
		return nil, digest, "module", err
	}
	if o.PublicKey != "" {
		if key, err := verify(o, wasm, signature); err != nil {
			return nil, digest, key, err
		}
	}
	return wasm, digest, "", nil
}

// fetch gets a module from the local store, else from its registry.
func (s *sources) fetch(ctx context.Context, module string) (wasm, signature []byte, err error) {
	ref, err := supply.ParseReference(module)
	if err != nil {
		return nil, nil, supplied(err)
	}
	lock, err := supply.ReadLock(s.lock)
	if err != nil {
		return nil, nil, supplied(err)
	}
	if ref, err = lock.Pin(ref); err != nil {
		return nil, nil, supplied(err)
	}
	a, err := s.remote.Load(ctx, ref)
	return a.Wasm, a.Signature, supplied(err)
}

// verify checks the signature of a module: signature, unless o names a file.
func verify(o config.Plugin, wasm, signature []byte) (key string, err error) {
	if err := supply.CheckKey(o.PublicKey); err != nil {
		return "public_key", supplied(err)
	}
	file := o.Signature
	if file == "" && !supply.Remote(o.Module) {
		file = o.Module + ".minisig"
	}
	if file != "" {
		if signature, err = supply.ReadSignature(file); err != nil {
			return "public_key", refuse("sign the module: minisign -Sm "+filepath.Base(o.Module), "the module must be signed, but its signature can't be read: %v", err)
		}
	}
	if signature == nil {
		return "public_key", refuse("push the file of minisign as a layer beside the module, or name it with signature",
			"the module must be signed, but the artifact has no signature")
	}
	return "public_key", supplied(supply.Verify(o.PublicKey, filepath.Base(o.Module), wasm, signature))
}

// supplied makes a loadError of an error of package supply.
func supplied(err error) error {
	var e *supply.Error
	if errors.As(err, &e) {
		return refuse(e.Hint, "%s", e.Text)
	}
	return err
}

// checkDigest compares a module's digest with want; "" wants none.
func checkDigest(module string, digest [sha256.Size]byte, want string) error {
	if got := hex.EncodeToString(digest[:]); want != "" && !strings.EqualFold(want, got) {
		return refuse("the module isn't the one that was meant; if it is, set sha256 = \""+got+`"`,
			"%s has the SHA-256 %s, but sha256 says %s", module, got, strings.ToLower(want))
	}
	return nil
}

// configErrors are what a manifest's schema has against a configuration.
type configErrors []manifest.Problem

func (e configErrors) Error() string { return fmt.Sprintf("config: %s", e[0].Text) }

// readManifest returns the manifest of wasm, nil when it has none, after it
// checked config, the plugin's configuration as JSON.
func readManifest(wasm []byte, config string) (m *manifest.Manifest, key string, err error) {
	m, err = manifest.Read(wasm)
	if m == nil || err != nil {
		return m, "module", err
	}
	if problems := m.CheckConfig([]byte(config)); len(problems) > 0 {
		return nil, "config", configErrors(problems)
	}
	return m, "", nil
}

// findings makes findings of err, which is about the option at path: one for
// each problem, at its own place.
func findings(cfg *config.Config, path []string, err error) config.Findings {
	var problems configErrors
	var key *config.KeyError
	if errors.As(err, &key) {
		return config.Findings{cfg.Finding(append(path[:len(path):len(path)], key.Path...), key.Text, key.Hint)}
	}
	if !errors.As(err, &problems) {
		return config.Findings{describe(cfg, path, err)}
	}
	var all config.Findings
	for _, p := range problems {
		all = append(all, cfg.Finding(append(path[:len(path):len(path)], p.Path...), p.Text, ""))
	}
	return all
}

// ungranted are the capabilities that p's manifest wants and o doesn't grant: it
// may be meant so, for what a module imports is granted or it isn't loaded.
func (p *plugin) ungranted(o config.Plugin) []string {
	if p.manifest == nil {
		return nil
	}
	var missing []string
	for _, group := range p.manifest.Wants {
		if !granted(o, group) {
			missing = append(missing, group)
		}
	}
	return missing
}

// unreachable are the servers that p's manifest wants to call and its grant
// doesn't allow. Without any grant it is the capability that is missing.
func (p *plugin) unreachable() []string {
	if p.manifest == nil || p.grants.http == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.manifest.Hosts), p.grants.http.Allows)
}

// wanting warns, in the log and as findings, of what p's manifest wants in vain.
func (p *plugin) wanting(cfg *config.Config, name string) (all config.Findings) {
	warn := func(text string, wanted []string, hint string, path ...string) {
		if len(wanted) == 0 {
			return
		}
		p.logger.Warn("the plugin's manifest wants what isn't "+text, zap.Strings("wanted", wanted))
		f := cfg.Finding(append([]string{"plugin", name}, path...), "its manifest wants what isn't "+text+": "+strings.Join(wanted, ", "), hint)
		f.Severity = config.SeverityWarning
		all = append(all, f)
	}
	warn("granted", p.ungranted(cfg.Plugin[name]), "")
	warn("allowed", p.unreachable(), "add them, if it may call them", "http", "allow")
	return all
}

// tellUpgrades logs how the plugins of g differ from those of before with the
// same name.
func (g *Generation) tellUpgrades(before *Generation) {
	for name, p := range g.plugins {
		old := before.plugins[name]
		if old == nil || old.module.key.digest == p.module.key.digest {
			continue
		}
		fields := []zap.Field{
			zap.String("plugin", name),
			zap.String("before", hex.EncodeToString(old.module.key.digest[:])), zap.String("now", hex.EncodeToString(p.module.key.digest[:])),
		}
		if old.manifest != nil && p.manifest != nil {
			fields = append(fields, zap.Strings("differences", p.manifest.Differences(old.manifest)))
		}
		g.host.logger.Info("plugin replaced", fields...)
	}
}
