package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"
)

const (
	// files is how many open files everybody may have, if we may allow it.
	files = 65536
	// startLimit is how long a proxy may take until it answers; the gateway
	// compiles its plugins in it.
	startLimit = time.Minute
)

// bench is what a run of the program owns.
type bench struct {
	options
	stderr  io.Writer
	site    *site
	backend *child
	threads int // of wrk and h2load
	files   int // open files at most
	started int // proxies, for the names of their folders
}

// proxy is one that runs.
type proxy struct {
	name  string
	place *place
	child *child
}

func newBench(o options, stderr io.Writer) (*bench, error) {
	b := &bench{options: o, stderr: stderr, threads: max(1, runtime.NumCPU()/2)}
	for _, path := range []*string{&b.program, &b.guest} {
		whole, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = whole
	}
	allowed, err := raiseFiles(files)
	if err != nil {
		return nil, err
	}
	b.files = int(allowed)
	b.Idle = min(b.Idle, b.files-1000)
	if b.site, err = newSite(); err != nil {
		return nil, err
	}
	if err := b.startBackend(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) startBackend() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	b.site.backend = fmt.Sprintf("%s:%d", host, port)
	folder := filepath.Join(b.site.dir, "backend")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	file := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(file, []byte(b.site.backendConfig(folder, b.files)), 0o644); err != nil {
		return err
	}
	b.backend, err = startChild("backend", filepath.Join(folder, "out"), nil, []string{"nginx", "-p", folder, "-c", file})
	return err
}

// close ends the backend and removes the folder.
func (b *bench) close() error {
	var errs []error
	if b.backend != nil {
		errs = append(errs, b.backend.stop())
	}
	if b.keep {
		fmt.Fprintln(b.stderr, "bench: kept", b.site.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(b.site.dir))...)
}

// start starts one proxy for a scenario and waits until it answers as wanted.
func (b *bench) start(ctx context.Context, name string, s *scenario) (*proxy, error) {
	b.started++
	folder := filepath.Join(b.site.dir, fmt.Sprintf("%02d-%s-%s", b.started, s.name, name))
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, err
	}
	at := &place{
		site: b.site, folder: folder, workers: b.Workers, files: b.files,
		log: filepath.Join(folder, "access.log"), stock: b.Nginx == stock,
	}
	out := filepath.Join(folder, "out")
	if name == haproxy { // it can't log into a file itself
		at.log = out
	}
	if s.paths != nil {
		at.guest, at.small = b.guest, filepath.Join(b.site.dir, "small.wasm")
		if err := os.WriteFile(at.small, smallGuest(), 0o644); err != nil {
			return nil, err
		}
	}
	ports := []*int{&at.plain, &at.secure}
	if b.profileFile != "" {
		ports = append(ports, &at.admin)
	}
	for _, port := range ports {
		var err error
		if *port, err = freePort(); err != nil {
			return nil, err
		}
	}
	args, env, err := at.program(name, b.program)
	if err != nil {
		return nil, err
	}
	p := &proxy{name: name, place: at}
	if p.child, err = startChild(name, out, env, args); err != nil {
		return nil, err
	}
	if err := b.ready(ctx, s, p); err != nil {
		return nil, errors.Join(err, p.child.stop())
	}
	return p, nil
}

// ready waits until a proxy answers as wanted.
func (b *bench) ready(ctx context.Context, s *scenario, p *proxy) error {
	limit := time.Now().Add(startLimit)
	for {
		err := verify(ctx, s, p)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case p.child.alive() != nil:
			return p.child.alive()
		case time.Now().After(limit):
			return fmt.Errorf("%s doesn't answer as wanted: %w", p.name, err)
		case regexp.MustCompile(`connection refused|no such file`).MatchString(err.Error()):
			time.Sleep(20 * time.Millisecond) // it's about to listen
		default:
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
}

// sample is what one run of one proxy gave.
type sample struct {
	Round        int     `json:"round"`
	Requests     int64   `json:"requests"`
	Failures     int64   `json:"failures"`
	Failed       string  `json:"failed,omitempty"` // why the run doesn't count
	Seconds      float64 `json:"seconds"`
	CPU          float64 `json:"cpu_us_per_request"`
	KernelShare  float64 `json:"kernel_share"`
	Rate         float64 `json:"requests_per_second"`
	P50          float64 `json:"p50_ms"`
	P99          float64 `json:"p99_ms"`
	Peak         float64 `json:"peak_rss_mib"`
	Instructions float64 `json:"instructions_per_request,omitempty"`
	Opened       int64   `json:"backend_connections_opened"`
}

// sample measures one run. What goes wrong stands in the sample; the error is
// for what makes going on pointless.
func (b *bench) sample(ctx context.Context, s *scenario, p *proxy, round int) (sample, error) {
	x := sample{Round: round}
	l, err := b.measured(ctx, s, p, &x)
	if ctx.Err() != nil {
		return x, ctx.Err()
	}
	if err == nil {
		err = p.child.alive()
	}
	x.Requests, x.Failures = l.requests, l.failures
	switch {
	case err != nil:
		x.Failed = err.Error()
	case l.failures > 0:
		x.Failed = fmt.Sprintf("%d of %d requests failed: %s", l.failures, l.failures+l.requests, l.detail)
	case l.requests == 0:
		x.Failed = "no requests"
	case l.bytes > 0 && l.bytes < l.requests*int64(len(s.want)):
		x.Failed = fmt.Sprintf("%d bytes for %d answers of %d: some were short", l.bytes, l.requests, len(s.want))
	}
	return x, nil
}

// measured does a run between two looks at the process tree.
func (b *bench) measured(ctx context.Context, s *scenario, p *proxy, x *sample) (load, error) {
	pid := p.child.cmd.Process.Pid
	if err := resetPeak(pid); err != nil {
		return load{}, err
	}
	opened, err := b.accepted(ctx)
	if err != nil {
		return load{}, err
	}
	before, err := used(pid)
	if err != nil {
		return load{}, err
	}
	var prefix []string
	counted := filepath.Join(b.site.dir, "perf.txt")
	if b.Perf && s.tool != byPace && s.tool != byHello {
		prefix = perfPrefix(before.pids, counted)
	}
	var l load
	switch s.tool {
	case byWrk:
		l, err = b.wrk(ctx, s, p, b.Duration, prefix)
	case byH2load:
		l, err = b.h2load(ctx, s, p, b.Duration, prefix)
	case byHello:
		l, err = handshakes(ctx, s, p, b.Connections, b.Duration)
	default:
		l, err = paced(ctx, s, p, b.Connections, b.Duration)
	}
	if err != nil {
		return l, err
	}
	after, err := used(pid)
	if err != nil {
		return l, err
	}
	if before.pids != after.pids {
		return l, fmt.Errorf("processes of %s came or went during the run: %s, then %s", p.name, before.pids, after.pids)
	}
	peak, err := resident(pid, "VmHWM")
	if err != nil {
		return l, err
	}
	now, err := b.accepted(ctx)
	if err != nil {
		return l, err
	}
	if prefix != nil {
		text, err := os.ReadFile(counted)
		if err != nil {
			return l, err
		}
		n, err := parsePerf(string(text))
		if err != nil {
			return l, err
		}
		x.Instructions = float64(n) / float64(max(l.requests, 1))
	}
	x.Opened = now - opened
	x.Seconds = l.length.Seconds()
	x.CPU = float64((after.cpu - before.cpu).Nanoseconds()) / 1000 / float64(max(l.requests, 1))
	ticks := after.user - before.user + after.system - before.system
	x.KernelShare = float64(after.system-before.system) / float64(max(ticks, 1))
	x.Rate = float64(l.requests) / l.length.Seconds()
	x.P50, x.P99 = l.p50.Seconds()*1000, l.p99.Seconds()*1000
	x.Peak = float64(peak) / (1 << 20)
	return l, nil
}

// accepted returns how many connections the backend has taken so far.
func (b *bench) accepted(ctx context.Context) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.site.backend+"/status", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`requests\s+(\d+) `).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("the backend's status: %q", text)
	}
	return strconv.ParseInt(string(m[1]), 10, 64)
}

// all measures every scenario that was asked for. It returns what it has also
// when it was interrupted.
func (b *bench) all(ctx context.Context) (*report, error) {
	r := newReport(ctx, b)
	for _, s := range scenarios(b.Rate, b.Idle) {
		if len(b.Only) > 0 && !slices.Contains(b.Only, s.name) {
			continue
		}
		fmt.Fprintf(b.stderr, "bench: %s: %s\n", s.name, s.title)
		if s.tool == byIdle {
			if err := b.idle(ctx, &s, r); err != nil {
				return r, err
			}
			continue
		}
		if err := b.scenario(ctx, &s, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// scenario measures one scenario: all its proxies run for its whole length, and
// take turns in each round.
func (b *bench) scenario(ctx context.Context, s *scenario, r *report) (err error) {
	rows := &scenarioReport{Name: s.name, Title: s.title, Tool: s.tool}
	var running []*proxy
	defer func() {
		for _, p := range running {
			err = errors.Join(err, p.child.stop())
		}
	}()
	for _, name := range b.Proxies {
		if !s.takesPart(name) {
			continue
		}
		p, err := b.start(ctx, name, s)
		if err == nil {
			running = append(running, p)
			err = b.warm(ctx, s, p)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		row := &proxyReport{Name: name}
		if err != nil {
			row.Failed = err.Error()
			fmt.Fprintf(b.stderr, "bench: %s: %s is left out: %v\n", s.name, name, err)
		}
		rows.Proxies = append(rows.Proxies, row)
	}
	for round := range b.Rounds {
		for _, p := range rotated(running, round) {
			row := rows.row(p.name)
			if row.Failed != "" {
				continue
			}
			x, err := b.sample(ctx, s, p, round)
			if err != nil {
				return err
			}
			if x.Failed != "" {
				fmt.Fprintf(b.stderr, "bench: %s: %s, round %d doesn't count: %s\n", s.name, p.name, round+1, x.Failed)
			}
			row.Samples = append(row.Samples, x)
		}
	}
	for _, p := range running {
		err = errors.Join(err, p.child.stop())
		if row := rows.row(p.name); row.Failed == "" {
			err = errors.Join(err, row.countLines(p.place.log))
		}
	}
	running = nil
	rows.sum()
	r.Scenarios = append(r.Scenarios, rows)
	return err
}

// countLines compares the access log with the requests: a proxy that leaves out
// lines does less.
func (row *proxyReport) countLines(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	row.LogLines = int64(bytes.Count(text, []byte("\n")))
	for _, x := range row.Samples {
		row.Requests += x.Requests
	}
	return nil
}
