package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/plugins/supply"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/deployment"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

// deployments are what the stages run. They outlive configurations. Methods are for one
// goroutine at a time.
type deployments struct {
	// Set at construction.
	archive *deployment.Archive
	dir     string // of all that is kept; "" for none
	logger  *zap.Logger
	modules func(ctx context.Context, cfg *config.Config, name string) ([]byte, error)

	histories map[string]*deployment.History // as they were last read or saved
	documents []*readDocument                // that were read or written last, for going back to them
	unsaved   map[string]bool                // APIs whose history couldn't be saved

	// Of the configuration that was last looked at.
	cfg    *config.Config
	frozen map[string]*frozen
	views  map[view]*deployedView
	hashes map[string]moduleHash // by path
}

// frozen is what would be deployed of an API.
type frozen struct {
	doc    *deployment.Document
	text   []byte
	digest string
}

// view is a version of an API.
type view struct{ api, digest string }

// deployedView is what a version of an API is compiled from.
type deployedView struct {
	cfg     *config.Config
	modules map[string]string
}

// readDocument is a document that was read, which never changes.
type readDocument struct {
	view
	doc *deployment.Document
}

// manyDocuments is how many documents stay in memory.
const manyDocuments = 16

// document returns a document of the archive, or of those in memory.
func (d *deployments) document(api, digest string) (*deployment.Document, error) {
	key := view{api, digest}
	at := slices.IndexFunc(d.documents, func(r *readDocument) bool { return r.view == key })
	if at < 0 {
		doc, err := d.archive.Document(api, digest)
		if err != nil {
			return nil, err
		}
		d.keepDocument(key, doc)
		return doc, nil
	}
	found := d.documents[at]
	d.documents = append(slices.Delete(d.documents, at, at+1), found)
	return found.doc, nil
}

// keepDocument keeps a document in memory, in place of the one that was asked for the
// longest time ago.
func (d *deployments) keepDocument(key view, doc *deployment.Document) {
	if len(d.documents) == manyDocuments {
		d.documents = slices.Delete(d.documents, 0, 1)
	}
	d.documents = append(d.documents, &readDocument{key, doc})
}

// moduleHash is the digest of a file that looked so.
type moduleHash struct {
	st     fs.FileInfo
	digest string
}

// deploymentsDir is where deployments are kept below dir, the dataDir.
func deploymentsDir(dir string) string { return filepath.Join(dir, "deployments") }

// newDeployments returns what is deployed according to the folder of cfg's data.
func newDeployments(cfg *config.Config, host *plugins.Host, logger *zap.Logger) *deployments {
	folder := ""
	dir, err := dataDir(cfg)
	if err == nil {
		folder = deploymentsDir(dir)
	}
	return &deployments{
		archive: deployment.NewArchive(folder), dir: dir, logger: logger, modules: host.Module,
		histories: map[string]*deployment.History{}, unsaved: map[string]bool{}, hashes: map[string]moduleHash{},
	}
}

// change is one change of an API's history. digest is that of the configuration's
// definition.
type change struct {
	api  string
	word deployment.Word // who, why and when
	make func(h *deployment.History, digest string, modes map[string]deployment.Mode) error
}

// rollout is what the stages are about to run.
type rollout struct {
	cfg       *config.Config // with the plugins of older deployments besides its own
	histories map[string]*deployment.History
	dirty     []string // APIs whose history changed
	before    map[string]*deployment.History
	stages    map[[2]string]snapshot.Running
	changes   []stageChange
	anew      bool               // the configuration was read anew: what isn't deployed yet has to be right, too
	serving   *snapshot.Snapshot // nil for none
}

// stageChange is what is new on a stage.
type stageChange struct {
	What          string // "stage", "canary", or "canary share", which is in percent
	API, Stage    string
	Before, After string // digests; "" for nothing
	Number        int
}

// running implements snapshot.Options.
func (r *rollout) running(api, stage string) snapshot.Running {
	return r.stages[[2]string{api, stage}]
}

// follows reports whether a stage runs each configuration that is accepted.
func follows(cfg *config.Config, stage config.Stage) bool {
	mode := stage.Deploy
	if mode == "" {
		mode = cfg.Gateway.Deploy
	}
	return mode != "manual"
}

// modeOf returns what cfg says of one of its stages.
func modeOf(cfg *config.Config, stage config.Stage) deployment.Mode {
	m := deployment.Mode{Follow: follows(cfg, stage), Variables: stage.Variables}
	if c := stage.Canary; c != nil {
		m.Canaried, m.Percent, m.Overrides = true, float64(c.Percent), c.Variables
	}
	return m
}

// prepare says what the stages of cfg are to run, once c is made; c may be nil. Nothing
// is kept yet.
func (d *deployments) prepare(ctx context.Context, cfg *config.Config, c *change) (*rollout, error) {
	if err := d.look(ctx, cfg); err != nil {
		return nil, err
	}
	r := &rollout{
		cfg: cfg, anew: c == nil, histories: map[string]*deployment.History{}, before: d.histories, stages: map[[2]string]snapshot.Running{},
	}
	if c != nil {
		if _, there := cfg.API[c.api]; !there {
			return nil, fmt.Errorf("%w: there is no API %q; there are: %v", deployment.ErrUnknown, c.api, sortedKeys(cfg.API))
		}
	}
	pinned := map[string]config.Plugin{}
	for _, api := range sortedKeys(cfg.API) {
		h, err := d.advance(cfg, api, c, r)
		if err == nil {
			err = d.stagesOf(cfg, api, h, r, pinned)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(pinned) > 0 {
		all := *cfg
		all.Plugin = maps.Clone(cfg.Plugin)
		if all.Plugin == nil {
			all.Plugin = map[string]config.Plugin{}
		}
		maps.Copy(all.Plugin, pinned)
		r.cfg = &all
	}
	return r, nil
}

// advance brings an API's history to cfg, and makes c if it is for this API.
func (d *deployments) advance(cfg *config.Config, api string, c *change, r *rollout) (*deployment.History, error) {
	h, damaged, err := d.history(api, c == nil)
	if err != nil {
		return nil, err
	}
	h = h.Clone()
	was := h.Clone()
	live := d.frozen[api]
	modes, manual := map[string]deployment.Mode{}, false
	for name, stage := range cfg.API[api].Stage {
		modes[name] = modeOf(cfg, stage)
		manual = manual || !modes[name].Follow
	}
	if manual && d.dir == "" {
		return nil, &config.KeyError{Path: []string{"data_dir"}, Text: fmt.Sprintf("API %q has stages with deploy = \"manual\", but there is no folder to keep deployments in", api), Hint: "set data_dir"}
	}
	w := deployment.Word{Digest: live.digest, At: time.Now()}
	changed := false
	if c != nil && c.api == api {
		h.Settle(modes, w) // stages that are new may be asked for
		if err := c.make(h, live.digest, modes); err != nil {
			return nil, err
		}
		w.By, w.Message = c.word.By, c.word.Message
		changed = true
	}
	changed = h.Settle(modes, w) || changed
	if changed || damaged || d.unsaved[api] {
		h.Prune(cfg.Gateway.Deployments)
		r.dirty = append(r.dirty, api)
		r.note(was, h)
	}
	r.histories[api] = h
	return h, nil
}

// note tells what is new on the stages of h.
func (r *rollout) note(was, h *deployment.History) {
	digest := func(h *deployment.History, number int) string {
		if found := h.Find(number); found != nil {
			return found.Digest
		}
		return ""
	}
	for _, name := range sortedKeys(h.Stages) {
		s, old := h.Stages[name], was.Stages[name]
		if old == nil {
			old = &deployment.Stage{}
		}
		if s.Deployment != old.Deployment {
			r.changes = append(r.changes, stageChange{"stage", h.API, name, digest(was, old.Deployment), digest(h, s.Deployment), s.Deployment})
		}
		if before, after := sharedPercent(old), sharedPercent(s); before != after {
			r.changes = append(r.changes, stageChange{"canary share", h.API, name, before, after, 0})
		}
		if s.Canary != old.Canary {
			r.changes = append(r.changes, stageChange{"canary", h.API, name, digest(was, old.Canary), digest(h, s.Canary), s.Canary})
		}
	}
}

// sharedPercent returns what was said of a canary's share besides the configuration.
func sharedPercent(s *deployment.Stage) string {
	if s.Share == nil {
		return ""
	}
	return strconv.FormatFloat(s.Share.Percent, 'g', -1, 64) + " %"
}

// history returns an API's history: from the archive, if anew or it wasn't looked at
// yet. A damaged one is what it was before, and has to be saved.
func (d *deployments) history(api string, anew bool) (h *deployment.History, damaged bool, err error) {
	known := d.histories[api]
	if known != nil && (!anew || d.unsaved[api] || d.dir == "") {
		return known, false, nil
	}
	h, err = d.archive.History(api)
	switch {
	case err == nil && known != nil && h.Next < known.Next:
		d.logger.Error("the history of deployments is older than what serves, which counts", zap.String("api", api))
		return known, true, nil
	case err == nil:
		return h, false, nil
	case known != nil:
		d.logger.Error("the history of deployments can't be read, what serves counts", zap.String("api", api), zap.Error(err))
		return known, true, nil
	case h != nil:
		d.logger.Error("the history of deployments can't be read", zap.String("api", api), zap.Error(err))
		return h, true, nil
	}
	return nil, false, err
}

// stagesOf fills r.stages for an API, and pinned with the plugins that its older
// deployments need.
func (d *deployments) stagesOf(cfg *config.Config, api string, h *deployment.History, r *rollout, pinned map[string]config.Plugin) error {
	for name := range cfg.API[api].Stage {
		s := h.Stages[name]
		base, err := d.version(cfg, api, h, s.Deployment, pinned)
		if err != nil {
			return err
		}
		running := snapshot.Running{All: *base}
		configured := cfg.API[api].Stage[name]
		if s.Promoted(modeOf(cfg, configured)) {
			running.Variables = configured.CanaryVariables()
		}
		if s.Share != nil {
			running.Percent = &s.Share.Percent
		}
		if s.Canary != 0 {
			if running.Canary, err = d.version(cfg, api, h, s.Canary, pinned); err != nil {
				return err
			}
		}
		r.stages[[2]string{api, name}] = running
	}
	return nil
}

// version returns what a deployment is compiled from.
func (d *deployments) version(cfg *config.Config, api string, h *deployment.History, number int, pinned map[string]config.Plugin) (*snapshot.Deployed, error) {
	found := h.Find(number)
	if found == nil {
		return nil, fmt.Errorf("%w: API %q has no deployment %d", deployment.ErrUnknown, api, number)
	}
	if found.Digest == d.frozen[api].digest {
		return &snapshot.Deployed{Number: number}, nil
	}
	w, err := d.view(cfg, view{api, found.Digest}, number)
	if err != nil {
		return nil, err
	}
	v := &snapshot.Deployed{Config: w.cfg, Number: number, Plugins: map[string]string{}}
	for name, digest := range w.modules {
		if now, there := cfg.Plugin[name]; there && d.frozenModule(cfg, name) == digest && reflect.DeepEqual(now, w.cfg.Plugin[name]) {
			continue // the very same: its instances are shared
		}
		alias, plugin := d.pin(name, digest, w.cfg.Plugin[name])
		v.Plugins[name], pinned[alias] = alias, plugin
	}
	return v, nil
}

// view returns cfg with a version of an API.
func (d *deployments) view(cfg *config.Config, key view, number int) (*deployedView, error) {
	if w := d.views[key]; w != nil {
		return w, nil
	}
	doc, err := d.document(key.api, key.digest)
	if err != nil {
		return nil, fmt.Errorf("deployment %d of API %q: %w", number, key.api, err)
	}
	with, findings := cfg.With(key.api, doc.Definition)
	if with == nil {
		return nil, &invalid{said(findings, number)}
	}
	w := &deployedView{with, doc.Modules}
	d.views[key] = w
	return w, nil
}

// said tells which deployment findings are about.
func said(findings config.Findings, number int) config.Findings {
	for i := range findings {
		findings[i].Text = fmt.Sprintf("deployment %d: %s", number, findings[i].Text)
	}
	return findings
}

// pin returns a plugin as it was deployed, and a name that no other has.
func (d *deployments) pin(name, digest string, o config.Plugin) (string, config.Plugin) {
	if o.KV != nil && o.KV.Namespace == "" { // what it keeps stays that of its name
		kv := *o.KV
		kv.Namespace = name
		o.KV = &kv
	}
	o.Module, o.SHA256 = d.archive.Module(digest), digest
	o.PublicKey, o.Signature = "", "" // it was looked at when it was deployed
	text, _ := json.Marshal(o)        // plugins' options are made of what JSON has
	sum := sha256.Sum256(text)
	return name + "@" + hex.EncodeToString(sum[:6]), o
}

// look freezes what cfg would deploy, unless that is known.
func (d *deployments) look(ctx context.Context, cfg *config.Config) error {
	if d.cfg == cfg {
		return nil
	}
	all := map[string]*frozen{}
	d.cfg = nil
	for _, api := range sortedKeys(cfg.API) {
		definition, err := cfg.Definition(api)
		if err != nil {
			return fmt.Errorf("API %q: %w", api, err)
		}
		doc := &deployment.Document{API: api, Definition: definition}
		used, _ := definition["plugin"].(map[string]any)
		for _, name := range sortedKeys(used) {
			digest, err := d.hash(ctx, cfg, name)
			if err != nil {
				continue // loading the plugins finds that, and says where
			}
			if doc.Modules == nil {
				doc.Modules = map[string]string{}
			}
			doc.Modules[name] = digest
		}
		f := &frozen{doc: doc}
		if f.text, f.digest, err = doc.Encode(); err != nil {
			return err
		}
		all[api] = f
	}
	d.cfg, d.frozen, d.views = cfg, all, map[view]*deployedView{}
	return nil
}

// hash returns the digest of a plugin's module.
func (d *deployments) hash(ctx context.Context, cfg *config.Config, name string) (string, error) {
	module := cfg.Plugin[name].Module
	remote := supply.Remote(module)
	var st fs.FileInfo
	if !remote {
		var err error
		if st, err = os.Stat(module); err != nil {
			return "", err
		}
		if known, there := d.hashes[module]; there && os.SameFile(known.st, st) && known.st.ModTime().Equal(st.ModTime()) && known.st.Size() == st.Size() &&
			time.Since(st.ModTime()) > time.Second { // a file system's clock may be coarse
			return known.digest, nil
		}
	}
	wasm, err := d.modules(ctx, cfg, name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(wasm)
	digest := hex.EncodeToString(sum[:])
	if !remote {
		d.hashes[module] = moduleHash{st, digest}
	}
	return digest, nil
}

// frozenModule returns the digest of a plugin's module as it is now, "" if no API that
// is deployed has it.
func (d *deployments) frozenModule(cfg *config.Config, name string) string {
	digest, err := d.hash(context.Background(), cfg, name)
	if err != nil {
		return ""
	}
	return digest
}

// save writes what is new, at most saveAtOnce APIs at the same time. The error is of
// all those that couldn't be saved.
func (d *deployments) save(ctx context.Context, r *rollout) error {
	if len(r.dirty) == 0 {
		return nil
	}
	unlock, err := d.archive.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.saveModules(ctx, r); err != nil {
		return err
	}
	errs, released := make([]error, len(r.dirty)), make([][]string, len(r.dirty))
	var work sync.WaitGroup
	turns := make(chan struct{}, saveAtOnce)
	for i, api := range r.dirty {
		turns <- struct{}{}
		work.Go(func() {
			defer func() { <-turns }()
			released[i], errs[i] = d.saveOne(r.histories[api], d.frozen[api])
		})
	}
	work.Wait()
	if err := errors.Join(errs...); err == nil { // else a document that isn't there may need them at the next try
		d.archive.SweepModules(slices.Concat(released...))
	}
	for i, api := range r.dirty {
		d.unsaved[api] = errs[i] != nil
	}
	return errors.Join(errs...)
}

// saveAtOnce is how many files may wait for the disk: it takes them together.
const saveAtOnce = 16

// saveOne returns the modules of deployments that were removed.
func (d *deployments) saveOne(h *deployment.History, live *frozen) (released []string, err error) {
	if slices.ContainsFunc(h.Deployments, func(x deployment.Deployment) bool { return x.Digest == live.digest }) {
		if err := d.archive.Put(h.API, live.digest, live.text); err != nil {
			return nil, err
		}
	}
	if err := d.archive.Save(h); err != nil {
		return nil, err
	}
	return d.archive.Sweep(h), nil
}

// saveModules keeps the modules of what is deployed now.
func (d *deployments) saveModules(ctx context.Context, r *rollout) error {
	done := map[string]bool{}
	for _, api := range r.dirty {
		for _, name := range sortedKeys(d.frozen[api].doc.Modules) {
			digest := d.frozen[api].doc.Modules[name]
			if done[digest] || d.archive.Has(digest) {
				continue
			}
			done[digest] = true
			wasm, err := d.modules(ctx, d.cfg, name)
			if err == nil {
				err = d.archive.PutModule(digest, wasm)
			}
			if err != nil {
				return fmt.Errorf("plugin %q: %w", name, err)
			}
		}
	}
	return nil
}

// undo saves what was before r, which can't serve after all.
func (d *deployments) undo(r *rollout) error {
	var errs []error
	for _, api := range r.dirty {
		if before := r.before[api]; before != nil {
			errs = append(errs, d.archive.Save(before))
		}
	}
	return errors.Join(errs...)
}

// commit makes r what is served.
func (d *deployments) commit(r *rollout) { d.histories = r.histories }
