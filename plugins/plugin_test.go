package plugins

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// guests are the compiled test guests, and the folder of compiled modules that
// all tests share: compiling a Go guest takes a second.
type guests struct {
	dir  string
	once sync.Once
	err  error
}

var built guests

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "postern-plugins")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	built.dir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// guest returns the file of a guest of testdata/wasm: "native" or "command".
func guest(t testing.TB, name string) string {
	t.Helper()
	built.once.Do(func() {
		for guest, mode := range map[string]string{"native": "c-shared", "command": "default"} {
			cmd := exec.Command("go", "build", "-trimpath", "-buildmode="+mode, "-o", filepath.Join(built.dir, guest+".wasm"), "../testdata/wasm/"+guest)
			cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
			if out, err := cmd.CombinedOutput(); err != nil {
				built.err = fmt.Errorf("%w\n%s", err, out)
			}
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name+".wasm")
}

func newHost(t testing.TB, o Options) *Host {
	t.Helper()
	if o.CacheDir == "" {
		o.CacheDir = filepath.Join(built.dir, "cache")
	}
	h, err := NewHost(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		for _, s := range h.Stats() {
			if s.Instances != 0 || s.Memory != 0 {
				t.Errorf("plugin %s: %d instances and %d bytes are left", s.Name, s.Instances, s.Memory)
			}
		}
	})
	return h
}

// pluginTOML is a configuration with one plugin "p". Tests that aren't about time leave
// its calls as much as they need on a machine that pauses.
func pluginTOML(module string, options ...string) string {
	for _, key := range []string{"timeout", "wait"} {
		if !slices.ContainsFunc(options, func(o string) bool { return strings.Contains("\n"+o, "\n"+key+" =") }) {
			options = append([]string{key + ` = "1m"`}, options...)
		}
	}
	return fmt.Sprintf("[listen.public]\naddress = \"127.0.0.1:0\"\n[plugin.p]\nmodule = %q\n%s\n", module, strings.Join(options, "\n"))
}

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	cfg, findings := config.Parse("test.toml", []byte(text))
	if cfg == nil || findings.Failed() {
		t.Fatal(findings.Text())
	}
	return cfg
}

// begin loads a configuration and commits it.
func begin(t testing.TB, h *Host, text string) *Generation {
	t.Helper()
	g, findings := h.Begin(context.Background(), parse(t, text))
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	g.Commit()
	return g
}

// rig is a step of a plugin and what it needs around it.
type rig struct {
	t     testing.TB
	route *proxy.Route
	steps proxy.Steps
	close []func()
}

func (r *rig) build() proxy.Build {
	return proxy.Build{Logger: zap.NewNop(), Route: r.route, OnClose: func(f func()) { r.close = append(r.close, f) }}
}

func (r *rig) Close() {
	for _, f := range r.close {
		f()
	}
	r.close = nil
}

func newRig(t testing.TB) *rig {
	api := &proxy.API{Name: "pets", ID: "pets", Type: "rest", Region: "local", AccountID: "000000000000"}
	stage := &proxy.Stage{API: api, Name: "prod", Variables: map[string]string{"color": "blue", "animal": "cat"}}
	r := &rig{t: t, route: &proxy.Route{Stage: stage, Key: "GET /pets/{id}", Verb: "GET", Resource: "/pets/{id}", ResourceID: "r1", Kind: "wasm"}}
	t.Cleanup(r.Close)
	return r
}

func authorizerRig(t testing.TB, g *Generation) *rig {
	t.Helper()
	r := newRig(t)
	steps, err := g.Kinds()[0].New(r.build(), proxy.Options{Plugin: "p"})
	if err != nil {
		t.Fatal(err)
	}
	r.steps = steps
	return r
}

func integrationRig(t testing.TB, g *Generation) *rig {
	t.Helper()
	r := newRig(t)
	steps, err := g.Kinds()[1].New(r.build(), proxy.Options{Integration: &config.Integration{Type: "wasm", Plugin: "p"}})
	if err != nil {
		t.Fatal(err)
	}
	r.steps = steps
	return r
}

// exchange is GET /pets/a%20b?q+a=1%2B1&q+a=x+y&z with some headers, then the
// given ones: name, value, name, value …
func (r *rig) exchange(headers ...string) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(time.Unix(1_700_000_000, 0), nil)
	ex.ID = "id-1"
	ex.Route, ex.Method, ex.Path, ex.FullPath = r.route, "GET", "/pets/a%20b", "/prod/pets/a%20b"
	ex.Domain = proxy.Domain{Name: "pets.localhost", Prefix: "pets"}
	ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: "a%20b"})
	ex.In = proxy.Request{
		Method: "GET", Scheme: "http", Host: "pets.localhost", Path: "/prod/pets/a%20b", RawQuery: "q+a=1%2B1&q+a=x+y&z", HasQuery: true,
		Proto: "HTTP/1.1", Client: netip.MustParseAddrPort("192.0.2.7:1234"), Whole: true, Fields: ex.In.Fields,
	}
	ex.In.Fields = append(ex.In.Fields, http1.NewField("Host", "pets.localhost"), http1.NewField("Connection", "close"))
	for i := 0; i < len(headers); i += 2 {
		ex.In.Fields = append(ex.In.Fields, http1.NewField(headers[i], headers[i+1]))
	}
	return ex
}

// authorize runs the authorizer for a token.
func (r *rig) authorize(token string) (*proxy.Exchange, error) {
	ex := r.exchange("Authorization", token)
	_, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex)
	return ex, err
}

// integrate runs the integration and its response.
func (r *rig) integrate(do string) (*proxy.Exchange, error) {
	ex := r.exchange("x-do", do)
	if _, err := r.steps[proxy.Integration].Run(context.Background(), ex); err != nil {
		return ex, err
	}
	_, err := r.steps[proxy.IntegrationResponse].Run(context.Background(), ex)
	return ex, err
}

func wantFault(t testing.TB, err error, kind proxy.FaultKind) {
	t.Helper()
	f, ok := err.(proxy.Fault)
	if !ok || f.Kind != kind {
		t.Errorf("got %v, want %v", err, kind)
	}
}

func stats(t testing.TB, h *Host) Stats {
	t.Helper()
	for _, s := range h.Stats() {
		if s.Name == "p" {
			return s
		}
	}
	t.Fatal("no figures for plugin p")
	return Stats{}
}

// observed is a logger whose lines the test can read.
func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	return zap.New(core), logs
}

func zapText(s string) zap.Field { return zap.ByteString("text", []byte(s)) }
