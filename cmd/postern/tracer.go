package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/server"
	"github.com/postern-gateway/postern/proxy/usage"
)

// newDesk opens what judges tokens for traces.
func newDesk(cfg *config.Config) (*explain.Desk, error) {
	file := ""
	if dir, err := dataDir(cfg); err == nil {
		file = filepath.Join(dir, "trace.key")
	}
	return explain.OpenDesk(file)
}

// tracer is how the admin listener traces requests.
type tracer struct {
	server *server.Server
	desk   *explain.Desk
	cfg    func() *config.Config // that serves; nil: none yet
}

// invokedBody is the most content of a request that is tried out, in bytes.
const invokedBody = 10 << 20

// Invoke implements control.Tracing.
func (t *tracer) Invoke(ctx context.Context, q control.Question) (*explain.Trace, error) {
	if err := errors.Join(t.known(q.API, q.Stage), q.Check()); err != nil {
		return nil, err
	}
	i := server.Invocation{API: q.API, Stage: q.Stage, Method: q.Method, Path: q.Path, Host: q.Host, Headers: q.Headers, Content: q.Body, BodyLimit: invokedBody}
	if q.SourceIP != "" {
		i.Client, _ = netip.ParseAddr(q.SourceIP) // checked
	}
	trace, err := t.server.Invoke(ctx, i)
	if errors.Is(err, server.ErrInvocation) {
		return nil, fmt.Errorf("%w: %w", usage.ErrInvalid, err)
	}
	return trace, err
}

// known says which APIs or stages there are if the wanted one isn't.
func (t *tracer) known(api, stage string) error {
	cfg := t.cfg()
	if cfg == nil {
		return fmt.Errorf("%w: no configuration is loaded yet", usage.ErrUnknown)
	}
	if _, found := cfg.API[api]; !found {
		return fmt.Errorf("%w: no API %q; there are: %s", usage.ErrUnknown, api, listed(sortedKeys(cfg.API)))
	}
	if _, found := cfg.API[api].Stage[stage]; !found && stage != "" {
		return fmt.Errorf("%w: API %s has no stage %q; it has: %s", usage.ErrUnknown, api, stage, listed(sortedKeys(cfg.API[api].Stage)))
	}
	return nil
}

// Token implements control.Tracing.
func (t *tracer) Token(_ context.Context, s explain.Scope) (string, error) {
	if err := t.known(s.API, s.Stage); err != nil {
		return "", err
	}
	return t.desk.Mint(s)
}

// Traces implements control.Tracing.
func (t *tracer) Traces(context.Context) ([]explain.Summary, error) { return t.desk.List(), nil }

// Trace implements control.Tracing.
func (t *tracer) Trace(_ context.Context, id string) (*explain.Trace, error) {
	if found := t.desk.Find(id); found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("%w: no trace of a request %q is kept", usage.ErrUnknown, id)
}

var _ control.Tracing = (*tracer)(nil)
