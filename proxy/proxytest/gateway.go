package proxytest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/builtins"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/server"
	"github.com/postern-gateway/postern/proxy/snapshot"
	"github.com/postern-gateway/postern/proxy/upstream"
)

// assembly is a whole gateway, put together as `postern run` does it but for
// signals, the admin listener and the access log.
type assembly struct {
	t        *testing.T
	logger   *zap.Logger
	backends *upstream.Set
	server   *server.Server
}

// Start returns a gateway that serves nothing yet.
func Start(t *testing.T) Gateway {
	t.Helper()
	logger := zap.NewNop()
	return &assembly{
		t: t, logger: logger,
		backends: upstream.NewSet(upstream.Options{Logger: logger}),
		server:   server.New(server.Options{Logger: logger}),
	}
}

// Apply loads, compiles and serves file.
func (w *assembly) Apply(file string) string {
	w.t.Helper()
	cfg, findings := config.Load(file)
	if findings.Failed() {
		return findings.Text()
	}
	backends := w.backends.Begin()
	snap, findings := snapshot.Compile(cfg, snapshot.Options{
		Kinds:   builtins.Kinds(),
		Logger:  w.logger,
		Backend: backends.Backend,
		Recorder: func(string, string) proxy.Recorder {
			return nobody{}
		},
	})
	if findings.Failed() {
		backends.Discard()
		return findings.Text()
	}
	if err := w.server.Apply(cfg, snap); err != nil {
		backends.Discard()
		snap.Close()
		return err.Error()
	}
	backends.Commit()
	return ""
}

// nobody records nothing.
type nobody struct{}

// Record does nothing.
func (nobody) Record(*proxy.Exchange) {}

// Addr returns where a listener listens.
func (w *assembly) Addr(listener string) string {
	addr := w.server.Addrs()[listener]
	if addr == nil {
		return ""
	}
	return addr.String()
}

// Close drains the gateway and stops it.
func (w *assembly) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.server.Drain(ctx) // a scenario may leave a request hanging
	if err := w.server.Close(); err != nil {
		w.t.Errorf("close the server: %v", err)
	}
	w.backends.Close()
}
