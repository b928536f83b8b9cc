package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/deployment"
)

// deployer makes changes of what is deployed, and shows it.
type deployer struct {
	// roll makes a change; reload: of the file as it is now.
	roll func(ctx context.Context, reload bool, c *change) error
	// load reads the file.
	load func() (*config.Config, config.Findings)
	// with lends what is deployed, and the configuration that serves.
	with func(f func(*deployments, *config.Config) error) error
}

var _ control.Deployments = (*deployer)(nil)

// on makes a change of one stage and tells what came of it.
func (d *deployer) on(ctx context.Context, reload bool, api, stage, by string,
	make func(h *deployment.History, digest string, modes map[string]deployment.Mode) error) (out control.Outcome, err error) {
	out = control.Outcome{API: api, Stage: stage}
	err = d.roll(ctx, reload, &change{api: api, word: deployment.Word{By: by}, make: func(h *deployment.History, digest string, modes map[string]deployment.Mode) error {
		before, err := h.Stage(stage)
		if err != nil {
			return err
		}
		was := *before
		if err := make(h, digest, modes); err != nil {
			return err
		}
		now := h.Stages[stage]
		if m := modes[stage]; m.Canaried {
			out.Percent = &m.Percent
			if now.Share != nil {
				out.Percent = &now.Share.Percent
			}
		}
		out.Canary = now.Canary != was.Canary && now.Canary != 0
		out.Before, out.Deployment = was.Deployment, h.Find(now.Deployment)
		if out.Canary {
			out.Before, out.Deployment = was.Canary, h.Find(now.Canary)
		}
		if out.Deployment != nil { // the history's own may change
			found := *out.Deployment
			out.Deployment = &found
		}
		return nil
	}})
	return out, err
}

// Deploy implements control.Deployments.
func (d *deployer) Deploy(ctx context.Context, api, stage, message, by string) (control.Outcome, error) {
	return d.on(ctx, true, api, stage, by, func(h *deployment.History, digest string, modes map[string]deployment.Mode) error {
		_, err := h.Deploy(stage, modes[stage].Canaried, deployment.Word{Digest: digest, By: by, Message: message, At: time.Now()})
		return err
	})
}

// Rollback implements control.Deployments.
func (d *deployer) Rollback(ctx context.Context, api, stage string, to int, by string) (control.Outcome, error) {
	return d.on(ctx, false, api, stage, by, func(h *deployment.History, digest string, _ map[string]deployment.Mode) error {
		return h.Rollback(stage, to, digest, time.Now())
	})
}

// Promote implements control.Deployments.
func (d *deployer) Promote(ctx context.Context, api, stage, by string) (control.Outcome, error) {
	return d.on(ctx, false, api, stage, by, func(h *deployment.History, _ string, modes map[string]deployment.Mode) error {
		return h.Promote(stage, modes[stage], time.Now())
	})
}

// SetShare implements control.Deployments.
func (d *deployer) SetShare(ctx context.Context, api, stage string, percent float64, by string) (control.Outcome, error) {
	return d.on(ctx, false, api, stage, by, func(h *deployment.History, _ string, modes map[string]deployment.Mode) error {
		return h.SetShare(stage, modes[stage], percent)
	})
}

// Disable implements control.Deployments.
func (d *deployer) Disable(ctx context.Context, api, stage, by string) (control.Outcome, error) {
	return d.on(ctx, false, api, stage, by, func(h *deployment.History, digest string, modes map[string]deployment.Mode) error {
		return h.Disable(stage, modes[stage], digest)
	})
}

// Remove implements control.Deployments.
func (d *deployer) Remove(ctx context.Context, api string, number int, by string) error {
	return d.roll(ctx, false, &change{api: api, word: deployment.Word{By: by}, make: func(h *deployment.History, _ string, _ map[string]deployment.Mode) error { return h.Delete(number) }})
}

// History implements control.Deployments.
func (d *deployer) History(_ context.Context, api string) (found *deployment.History, err error) {
	err = d.with(func(all *deployments, cfg *config.Config) error {
		if _, there := cfg.API[api]; !there {
			return unknownAPI(cfg, api)
		}
		h, _, err := all.history(api, false)
		if err == nil {
			found = h.Clone()
		}
		return err
	})
	return found, err
}

func unknownAPI(cfg *config.Config, api string) error {
	return fmt.Errorf("%w: there is no API %q; there are: %s", deployment.ErrUnknown, api, strings.Join(sortedKeys(cfg.API), ", "))
}

// Document implements control.Deployments.
func (d *deployer) Document(ctx context.Context, api, which string) (doc *deployment.Document, err error) {
	if which == control.TheFile {
		return d.ofFile(ctx, api)
	}
	err = d.with(func(all *deployments, cfg *config.Config) error {
		if _, there := cfg.API[api]; !there {
			return unknownAPI(cfg, api)
		}
		h, _, err := all.history(api, false)
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(which)
		if err != nil { // a stage
			s, err := h.Stage(which)
			if err != nil {
				return err
			}
			number = s.Deployment
		}
		found := h.Find(number)
		if found == nil {
			return fmt.Errorf("%w: API %q has no deployment %d", deployment.ErrUnknown, api, number)
		}
		doc, err = all.archive.Document(api, found.Digest)
		return err
	})
	return doc, err
}

// Diff implements control.Deployments.
func (d *deployer) Diff(ctx context.Context, api, from, to string) ([]deployment.Difference, error) {
	if from == "" || to == "" {
		return nil, fmt.Errorf("%w: say what to compare: from and to", deployment.ErrInvalid)
	}
	before, err := d.Document(ctx, api, from)
	if err != nil {
		return nil, err
	}
	after, err := d.Document(ctx, api, to)
	if err != nil {
		return nil, err
	}
	return deployment.Compare(before, after), nil
}

// ofFile returns what would be deployed now.
func (d *deployer) ofFile(ctx context.Context, api string) (*deployment.Document, error) {
	cfg, findings := d.load()
	if cfg == nil || findings.Failed() {
		return nil, &invalid{findings}
	}
	if _, there := cfg.API[api]; !there {
		return nil, unknownAPI(cfg, api)
	}
	only := *cfg
	only.API = map[string]config.API{api: cfg.API[api]}
	var doc *deployment.Document
	err := d.with(func(all *deployments, _ *config.Config) error {
		scratch := &deployments{modules: all.modules, hashes: all.hashes}
		if err := scratch.look(ctx, &only); err != nil {
			return err
		}
		doc = scratch.frozen[api].doc
		return nil
	})
	return doc, err
}
