// Package trial runs a plugin without a gateway: one request at a time through
// the pipeline that a route of its role has, with a backend that answers as the
// caller says, and tells what became of it. It serves the commands that try,
// test and check plugins.
package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/builtins"
	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

// Options are what a Bench needs from outside.
type Options struct {
	CacheDir    string // as in plugins.Options
	ArtifactDir string // as in plugins.Options
	// Seed makes what guests see as time and random numbers the same in each run;
	// without it both are real.
	Seed io.Reader
	// Calls has every host function that the guest calls noted in the outcome.
	Calls bool
}

// Bench has one plugin loaded. Safe for concurrent use, but with Options.Calls
// and for the log lines of an outcome: those are whoever's is first.
type Bench struct {
	Roles []string // what the plugin can do, by the names of package abi

	cfg        *config.Config // with this plugin only
	name       string
	host       *plugins.Host
	generation *plugins.Generation

	mu    sync.Mutex // guards what follows
	calls []plugins.HostCall
	lines []string
	trap  int // which call of a role from now on traps, counted from 1; 0 for none
}

// Open loads the plugin called name in cfg. The findings are about it; without
// any the Bench is there, and ends with Close.
func Open(ctx context.Context, cfg *config.Config, name string, o Options) (*Bench, config.Findings, error) {
	b := &Bench{name: name}
	alone := *cfg
	alone.Plugin = map[string]config.Plugin{name: cfg.Plugin[name]}
	b.cfg = &alone
	settings := plugins.Options{
		CacheDir: o.CacheDir, ArtifactDir: o.ArtifactDir, Entropy: o.Seed,
		Logger: zap.New(&journal{LevelEnabler: zapcore.DebugLevel, bench: b}),
	}
	if o.Seed != nil {
		settings.Clock = func() time.Time { return begin }
	}
	if o.Calls {
		settings.Trace = b.note
	}
	var err error
	if b.host, err = plugins.NewHost(settings); err != nil {
		return nil, nil, err
	}
	var findings config.Findings
	if b.generation, findings = b.host.Begin(ctx, b.cfg); findings.Failed() {
		b.Close()
		return nil, findings, nil
	}
	anatomy, more := b.host.Examine(ctx, b.cfg, name) // what runs already isn't compiled again
	if more.Failed() {
		b.Close()
		return nil, more, nil
	}
	b.Roles = anatomy.Roles
	b.reset()
	return b, findings, nil
}

// begin is the time of every trial that has a seed.
var begin = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// Close ends the plugin.
func (b *Bench) Close() {
	if b.generation != nil {
		b.generation.Discard()
	}
	_ = b.host.Close() // the process is about to end, or the next trial has its own host
}

// Stats returns the plugin's figures.
func (b *Bench) Stats() plugins.Stats {
	for _, s := range b.host.Stats() {
		if s.Name == b.name {
			return s
		}
	}
	return plugins.Stats{}
}

func (b *Bench) note(c plugins.HostCall) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, c)
	if b.trap > 0 && c.Phase != "start" {
		if b.trap--; b.trap == 0 {
			panic(errTrial) // ends the guest's call as a bad pointer would
		}
	}
}

// called returns how many calls there were since reset, those of starts aside.
func (b *Bench) called() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.calls {
		if b.calls[i].Phase != "start" {
			n++
		}
	}
	return n
}

// trapAt makes the guest trap in the nth host call of its role from now on; 0 in
// none. Those of a new instance's start don't count.
func (b *Bench) trapAt(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trap = n
}

// reset forgets calls and lines, and returns what there was.
func (b *Bench) reset() (calls []plugins.HostCall, lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls, lines = b.calls, b.lines
	b.calls, b.lines = nil, nil
	return calls, lines
}

// journal keeps the guest's log lines.
type journal struct {
	zapcore.LevelEnabler
	bench *Bench
}

func (j *journal) With([]zapcore.Field) zapcore.Core { return j }

func (j *journal) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return to.AddCore(e, j)
}

func (j *journal) Write(e zapcore.Entry, fields []zapcore.Field) error {
	line := e.Level.String() + " " + e.Message
	written := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(written)
	}
	if text, ok := written.Fields["text"]; ok { // a line of the guest's own
		line = fmt.Sprintf("%s %s", e.Level, text)
	}
	j.bench.mu.Lock()
	defer j.bench.mu.Unlock()
	j.bench.lines = append(j.bench.lines, line)
	return nil
}

func (j *journal) Sync() error { return nil }

// Outcome is what became of a request.
type Outcome struct {
	Role      string             `json:"role"`
	Verdict   string             `json:"verdict"` // a role's word, or "failed"
	Principal string             `json:"principal,omitempty"`
	Context   []Header           `json:"context,omitempty"` // of the authorizer
	Sent      *Request           `json:"sent,omitempty"`    // what the backend got; nil when it wasn't asked
	Reply     Response           `json:"reply"`
	Fault     string             `json:"fault,omitempty"`   // AWS's gateway response type
	Failure   string             `json:"failure,omitempty"` // of the plugin: "trap", "deadline", …
	Cause     string             `json:"cause,omitempty"`
	Logs      []string           `json:"logs,omitempty"`
	Calls     []plugins.HostCall `json:"calls,omitempty"`
	Took      time.Duration      `json:"took_ns"`
	CPU       time.Duration      `json:"cpu_ns"` // of the whole process meanwhile: about the plugin's, if it is alone
	Memory    int64              `json:"memory"` // linear memory of the plugin's instances, bytes

	settled int // how many of Calls there were when the reply stood, those at the start aside
}

// ErrRole is a case for a role that the plugin doesn't have.
var ErrRole = errors.New("no such role")

// Run takes c's request through the pipeline. The error is about the case: a
// role that isn't there, a request that no route takes. What goes wrong in the
// plugin is an outcome.
func (b *Bench) Run(ctx context.Context, c *Case) (*Outcome, error) {
	role, err := b.role(c.Role)
	if err != nil {
		return nil, err
	}
	ex, err := exchangeOf(&c.Request)
	if err != nil {
		return nil, err
	}
	cfg, err := configFor(b.cfg, b.name, role, c)
	if err != nil {
		return nil, err
	}
	backend := &backend{answer: c.Backend}
	snap, findings := snapshot.Compile(cfg, snapshot.Options{
		Kinds:    append(builtins.Kinds(builtins.Options{}), b.generation.Kinds()...),
		Logger:   zap.NewNop(),
		Backend:  func(string, *config.Backend) (proxy.Backend, error) { return backend, nil },
		Function: b.generation.Function,
	})
	if findings.Failed() {
		return nil, errors.New(findings.Error())
	}
	defer snap.Close()
	if refused, ok := snap.Match(ex); !ok {
		return nil, fmt.Errorf("no route takes %s %s: %w", ex.In.Method, ex.In.Path, refused)
	}
	_, _ = b.reset()
	began, used := time.Now(), cpuTime()
	ex.Route.Pipeline.Run(ctx, ex, bodyLimit)
	o := &Outcome{Role: role, Took: time.Since(began), CPU: cpuTime() - used, Sent: backend.sent, Memory: b.Stats().Memory}
	o.fill(ex)
	o.settled = b.called()
	ex.End()
	o.Calls, o.Logs = b.reset()
	return o, nil
}

// cpuTime is how long the process has computed.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// bodyLimit is the largest content of a trial's request: the listener's default.
const bodyLimit = 10 << 20

// role returns the role that a case is for: want, or the plugin's only one.
func (b *Bench) role(want string) (string, error) {
	switch {
	case want == "" && len(b.Roles) == 1:
		return b.Roles[0], nil
	case want == "":
		return "", fmt.Errorf("%w given: the plugin has %s, say which is meant", ErrRole, strings.Join(b.Roles, ", "))
	case !slices.Contains(b.Roles, want):
		return "", fmt.Errorf("%w: the plugin has %s, not %q", ErrRole, strings.Join(b.Roles, ", "), want)
	}
	return want, nil
}

// exchangeOf makes the exchange of a request as a listener would.
func exchangeOf(r *Request) (*proxy.Exchange, error) {
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.ID, ex.ExtendedID = "00000000-0000-4000-8000-000000000000", "AAAAAAAAAAAAAAA="
	target, err := r.target()
	if err != nil {
		return nil, err
	}
	fields := append(ex.In.Fields, http1.NewField("Host", target.Host))
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, "Host") {
			fields[0].Value = h.Value
			continue
		}
		fields = append(fields, http1.NewField(h.Name, h.Value))
	}
	host, port, err := http1.ParseHost(fields[0].Value)
	if err != nil {
		return nil, fmt.Errorf("host %q: %w", fields[0].Value, err)
	}
	client := netip.MustParseAddr("192.0.2.1") // RFC 5737: documentation
	if r.Client != "" {
		if client, err = netip.ParseAddr(r.Client); err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
	}
	path, query, hasQuery := strings.Cut(target.Path, "?")
	ex.In = proxy.Request{
		Method: r.Method, Scheme: target.Scheme, Host: host, Port: port, Path: path, RawQuery: query, HasQuery: hasQuery,
		Proto: "HTTP/1.1", Fields: fields, Content: []byte(r.Body), Whole: true, Length: int64(len(r.Body)),
		Client: netip.AddrPortFrom(client, 1234),
	}
	return ex, nil
}

// backend is who the gateway asks in a trial.
type backend struct {
	answer *Response
	sent   *Request
}

// Send is proxy.Backend's.
func (b *backend) Send(_ context.Context, ex *proxy.Exchange) error {
	body := ex.Out.Content
	if ex.Out.Body != nil {
		all, err := io.ReadAll(ex.Out.Body)
		if err != nil {
			return proxy.Fault{Kind: proxy.IntegrationFailure, Cause: err}
		}
		body = all
	}
	b.sent = &Request{Method: ex.Out.Method, URL: ex.Out.Target, Headers: headersOf(ex.Out.Fields), Body: string(body)}
	if ex.Out.Host != "" {
		b.sent.Headers = append([]Header{{"Host", ex.Out.Host}}, b.sent.Headers...)
	}
	answer := b.answer
	if answer == nil {
		answer = &Response{Status: 200, Headers: []Header{{"Content-Type", "text/plain"}}, Body: "the backend's answer\n"}
	}
	ex.Back = proxy.Response{Status: answer.Status, Fields: ex.Back.Fields[:0], Content: []byte(answer.Body)}
	for _, h := range answer.Headers {
		ex.Back.Fields = append(ex.Back.Fields, http1.NewField(h.Name, h.Value))
	}
	ex.Notes.BackendStatus = answer.Status
	return nil
}

func headersOf(fields http1.Fields) []Header {
	var all []Header
	for i := range fields {
		all = append(all, Header{strings.Clone(fields[i].Name), strings.Clone(fields[i].Value)})
	}
	return all
}

// fill takes over what is known of a finished exchange.
func (o *Outcome) fill(ex *proxy.Exchange) {
	o.Principal = strings.Clone(ex.Caller.Principal)
	for _, p := range ex.Caller.Context {
		o.Context = append(o.Context, Header{strings.Clone(p.Name), strings.Clone(p.Value)})
	}
	o.Reply = Response{Status: ex.Reply.Status, Headers: headersOf(ex.Reply.Fields), Body: string(ex.Reply.Content)}
	if ex.Reply.Body != nil {
		text, err := io.ReadAll(ex.Reply.Body)
		o.Reply.Body = string(text)
		if err != nil {
			o.Cause = err.Error()
		}
	}
	kind := proxy.NoFault
	if ex.Fault != nil {
		kind = ex.Fault.Kind
		o.Fault = kind.String()
		if ex.Fault.Cause != nil {
			o.Cause = ex.Fault.Cause.Error()
		}
	}
	o.Failure = ex.Notes.PluginFailure
	o.Verdict = verdict(o.Role, kind, o.Sent != nil)
	if o.Failure != "" {
		o.Verdict = "failed"
	}
}

// verdict is a role's word for what it decided.
func verdict(role string, fault proxy.FaultKind, asked bool) string {
	switch {
	case role == "authorize" && fault == proxy.AccessDenied:
		return "deny"
	case role == "authorize" && fault == proxy.Unauthorized:
		return "unauthenticated"
	case role == "validate" && (fault == proxy.BadRequestBody || fault == proxy.BadRequestParameters):
		return "invalid"
	case role == "request_body" && fault == proxy.AccessDenied:
		return "refuse"
	case fault != proxy.NoFault:
		return "failed"
	case role == "authorize":
		return "allow"
	case role == "validate":
		return "valid"
	case (role == "request" || role == "request_body") && asked:
		return "continue"
	case role == "request":
		return "answer"
	}
	return "done"
}
