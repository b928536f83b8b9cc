package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/deployment"
)

// load reads the configuration's file.
func (g *gateway) load() (*config.Config, config.Findings) {
	cfg, findings := config.Load(g.file)
	if g.development && cfg != nil {
		followAll(cfg)
	}
	return cfg, findings
}

// followAll has all stages run what the configuration says.
func followAll(cfg *config.Config) {
	cfg.Gateway.Deploy = "auto"
	for _, api := range cfg.API {
		for name, stage := range api.Stage {
			stage.Deploy = ""
			api.Stage[name] = stage
		}
	}
}

// blamed returns an error of what is deployed as a finding, if a key is to blame.
func blamed(cfg *config.Config, err error) error {
	var key *config.KeyError
	if errors.As(err, &key) {
		return &invalid{config.Findings{cfg.Blame(nil, key)}}
	}
	return err
}

// keep writes what r changes. What only follows the configuration serves even if that
// fails; what somebody asked for doesn't.
func (g *gateway) keep(ctx context.Context, r *rollout, c *change) error {
	err := g.deployments.save(ctx, r)
	if err == nil || c != nil {
		return err
	}
	g.journal.Error("deployments can't be kept: the next start may serve others", zap.Error(err))
	for _, api := range r.dirty {
		g.deployments.unsaved[api] = true
	}
	return nil
}

// record tells what r changed.
func (g *gateway) record(r *rollout, c *change) {
	by := "reload"
	if c != nil {
		by = c.word.By
	}
	for _, s := range r.changes {
		g.audit(control.Change{Time: time.Now(), By: by, What: s.What, Object: s.API + ":" + s.Stage, Number: s.Number, Before: s.Before, After: s.After})
	}
}

// auditFile is where changes are noted below the folder of data, one JSON object a line.
const auditFile = "audit.log"

// audit notes a change in the operator log and, if there is a folder, in a file that is
// only added to.
func (g *gateway) audit(c control.Change) {
	fields := []zap.Field{zap.String("by", c.By), zap.String("what", c.What), zap.String("object", c.Object)}
	if c.Number != 0 {
		fields = append(fields, zap.Int("number", c.Number))
	}
	for _, f := range []struct{ name, value string }{{"before", c.Before}, {"after", c.After}, {"failure", c.Failure}} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
		}
	}
	if c.Status != 0 {
		fields = append(fields, zap.Int("status", c.Status))
	}
	g.journal.Info("change", fields...)
	dir := g.dataDir()
	if dir == "" {
		return
	}
	line, err := json.Marshal(c)
	if err == nil {
		err = appendLine(filepath.Join(dir, auditFile), line)
	}
	if err != nil {
		g.journal.Error("the change can't be noted", zap.Error(err))
	}
}

// dataDir returns the folder of the configuration that the gateway began with, "" for
// none.
func (g *gateway) dataDir() string { return g.deployments.dir }

// appendLine adds a line to a file that only the process's user can read.
func appendLine(path string, line []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// roll makes one change of what is deployed, of the file as it is now or, without
// reload, of the configuration that serves.
func (g *gateway) roll(ctx context.Context, reload bool, c *change) error {
	if !g.changing.TryLock() {
		return deployment.ErrBusy
	}
	defer g.changing.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped || g.lent {
		return ErrStopping
	}
	serving := g.serving.Load()
	if serving == nil {
		return errors.New("no configuration is loaded yet")
	}
	if !reload {
		return g.apply(ctx, serving, c)
	}
	warnings, err := g.attempt(ctx, c)
	if err != nil {
		return err
	}
	g.warn(warnings)
	g.status.Loaded(g.file, g.digest)
	return nil
}

// deployer returns who deploys here.
func (g *gateway) deployer() *deployer {
	return &deployer{
		roll: g.roll, load: g.load,
		with: func(f func(*deployments, *config.Config) error) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			serving := g.serving.Load()
			if serving == nil {
				return errors.New("no configuration is loaded yet")
			}
			return f(g.deployments, serving)
		},
	}
}

// offline deploys where no gateway runs: the next one that starts serves it.
type offline struct {
	parts       *parts
	deployments *deployments
	file        string
	cfg         *config.Config
}

// roll is the gateway's.
func (o *offline) roll(ctx context.Context, _ bool, c *change) error {
	r, err := o.deployments.prepare(ctx, o.cfg, c)
	if err != nil {
		return blamed(o.cfg, err)
	}
	next, findings := o.parts.build(ctx, o.cfg, r, unrecorded{})
	if next == nil {
		return &invalid{findings}
	}
	next.discard()
	if err := o.deployments.save(ctx, r); err != nil {
		return err
	}
	o.deployments.commit(r)
	for _, s := range r.changes {
		what := control.Change{Time: time.Now(), By: c.word.By, What: s.What, Object: s.API + ":" + s.Stage, Number: s.Number, Before: s.Before, After: s.After}
		line, err := json.Marshal(what)
		if err == nil {
			err = appendLine(filepath.Join(o.deployments.dir, auditFile), line)
		}
		if err != nil {
			return fmt.Errorf("it is done, but can't be noted: %w", err)
		}
	}
	return nil
}

// deployer returns who deploys here.
func (o *offline) deployer() *deployer {
	return &deployer{
		roll: o.roll, load: func() (*config.Config, config.Findings) { return o.cfg, nil },
		with: func(f func(*deployments, *config.Config) error) error { return f(o.deployments, o.cfg) },
	}
}

// adminTokens returns who may use a TCP address of the admin listener; cfg may be nil.
func adminTokens(cfg *config.Config) []control.Token {
	if cfg == nil {
		return nil
	}
	var all []control.Token
	for _, name := range sortedKeys(cfg.Admin.Token) {
		t := cfg.Admin.Token[name]
		all = append(all, control.Token{Name: name, SHA256: t.SHA256, Scopes: t.Scopes})
	}
	return all
}
