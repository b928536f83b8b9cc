package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// load is what a load's program reports of one run.
type load struct {
	requests int64         // answered as wanted
	failures int64         // broken connections, time-outs, other statuses
	detail   string        // of the failures
	length   time.Duration // of the run
	bytes    int64         // received, heads included; 0 if unknown
	p50, p99 time.Duration
}

// wrkScript makes a wrk script. The request is fixed, so that wrk makes it once;
// when all is done it writes one line of figures.
func wrkScript(s *scenario) string {
	var b strings.Builder
	fmt.Fprintf(&b, "wrk.method = %q\n", s.method)
	for field, value := range s.header {
		fmt.Fprintf(&b, "wrk.headers[%q] = %q\n", field, value)
	}
	if s.send > 0 {
		fmt.Fprintf(&b, "wrk.headers[\"Content-Type\"] = \"application/octet-stream\"\nwrk.body = string.rep(\"x\", %d)\n", s.send)
	}
	b.WriteString(`function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("figures requests=%d us=%d bytes=%d connect=%d read=%d write=%d timeout=%d status=%d p50=%d p99=%d\n",
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
`)
	return b.String()
}

// parseWrk reads the line that wrkScript writes.
func parseWrk(out string) (load, error) {
	var l load
	_, line, found := strings.Cut(out, "figures ")
	line, _, _ = strings.Cut(line, "\n")
	fields := strings.Fields(line)
	if !found || len(fields) != 10 {
		return l, fmt.Errorf("no figures in what wrk wrote: %s", tail([]byte(out), 500))
	}
	v := map[string]int64{}
	for _, f := range fields {
		key, text, _ := strings.Cut(f, "=")
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return l, fmt.Errorf("wrk's figure %q: %w", f, err)
		}
		v[key] = n
	}
	l.length = time.Duration(v["us"]) * time.Microsecond
	l.bytes = v["bytes"]
	l.p50, l.p99 = time.Duration(v["p50"])*time.Microsecond, time.Duration(v["p99"])*time.Microsecond
	for _, kind := range []string{"connect", "read", "write", "timeout", "status"} {
		if v[kind] > 0 {
			l.failures += v[kind]
			l.detail += fmt.Sprintf(" %d %s", v[kind], kind)
		}
	}
	l.detail = strings.TrimSpace(l.detail)
	l.requests = v["requests"] - v["status"] // wrk counts answers above 399 as requests too
	return l, nil
}

// parseH2load reads h2load's summary.
func parseH2load(out string) (load, error) {
	var l load
	seen := 0
	for row := range strings.Lines(out) {
		row = strings.TrimSpace(row)
		if rest, ok := strings.CutPrefix(row, "finished in "); ok {
			text, _, _ := strings.Cut(rest, ",")
			d, err := time.ParseDuration(text)
			if err != nil {
				return l, fmt.Errorf("h2load's duration: %w", err)
			}
			l.length = d
			seen++
		}
		if rest, ok := strings.CutPrefix(row, "requests: "); ok {
			v, err := counts(rest)
			if err != nil {
				return l, err
			}
			l.failures = v["failed"] // errored and timeout are part of it
			if l.failures > 0 {
				l.detail = fmt.Sprintf("%d failed, %d of them errored, %d timeout", v["failed"], v["errored"], v["timeout"])
			}
			seen++
		}
		if rest, ok := strings.CutPrefix(row, "status codes: "); ok {
			v, err := counts(rest)
			if err != nil {
				return l, err
			}
			l.requests = v["2xx"]
			if other := v["3xx"] + v["4xx"] + v["5xx"]; other > 0 {
				l.failures += v["3xx"] // it calls the others failed itself
				l.detail = strings.TrimPrefix(l.detail+fmt.Sprintf(", %d not 2xx", other), ", ")
			}
			seen++
		}
		if rest, ok := strings.CutPrefix(row, "traffic: "); ok {
			_, rest, _ = strings.Cut(rest, "(")
			text, _, _ := strings.Cut(rest, ")")
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return l, fmt.Errorf("h2load's traffic: %w", err)
			}
			l.bytes = n
			seen++
		}
	}
	if seen != 4 {
		return l, fmt.Errorf("no summary in what h2load wrote: %s", tail([]byte(out), 500))
	}
	return l, nil
}

// counts reads "12 total, 3 failed".
func counts(text string) (map[string]int64, error) {
	v := map[string]int64{}
	for part := range strings.SplitSeq(text, ",") {
		number, word, _ := strings.Cut(strings.TrimSpace(part), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("h2load's count %q: %w", part, err)
		}
		v[word] = n
	}
	return v, nil
}

// parseH2loadLog reads h2load's log and returns the quantiles of its third
// column, microseconds until the end of the reply.
func parseH2loadLog(text []byte) (p50, p99 time.Duration, err error) {
	var all []time.Duration
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 3 {
			return 0, 0, fmt.Errorf("h2load's log line %q", lines.Text())
		}
		us, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("h2load's log line %q: %w", lines.Text(), err)
		}
		all = append(all, time.Duration(us)*time.Microsecond)
	}
	if len(all) == 0 {
		return 0, 0, errors.New("h2load's log is empty")
	}
	slices.Sort(all)
	return quantile(all, 0.5), quantile(all, 0.99), lines.Err()
}

// streams is how many requests are under way on one HTTP/2 connection.
const streams = 4

// wrk runs wrk for a time. With a prefix it runs that program with wrk's command
// line behind.
func (b *bench) wrk(ctx context.Context, s *scenario, p *proxy, length time.Duration, prefix []string) (load, error) {
	script := filepath.Join(b.site.dir, s.name+".lua")
	if err := os.WriteFile(script, []byte(wrkScript(s)), 0o644); err != nil {
		return load{}, err
	}
	out, err := execute(ctx, append(slices.Clone(prefix), "wrk", "-t", strconv.Itoa(b.threads),
		"-c", strconv.Itoa(b.Connections), "-d", fmt.Sprintf("%ds", int(length.Seconds())), "-s", script, s.url(p)))
	if err != nil {
		return load{}, err
	}
	return parseWrk(out)
}

// h2load runs h2load for a time.
func (b *bench) h2load(ctx context.Context, s *scenario, p *proxy, length time.Duration, prefix []string) (load, error) {
	log := filepath.Join(b.site.dir, "h2load.log")
	if err := os.RemoveAll(log); err != nil {
		return load{}, err
	}
	out, err := execute(ctx, append(slices.Clone(prefix), "h2load", "-t", strconv.Itoa(b.threads), "-c", strconv.Itoa(b.Connections),
		"-m", strconv.Itoa(streams), "-D", fmt.Sprintf("%ds", int(length.Seconds())), "--log-file", log, s.url(p)))
	if err != nil {
		return load{}, err
	}
	l, err := parseH2load(out)
	if err != nil {
		return l, err
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return l, err
	}
	l.p50, l.p99, err = parseH2loadLog(text)
	return l, err
}

// warm sends some requests that don't count, so that pools, caches and heaps are
// as in the middle of a run.
func (b *bench) warm(ctx context.Context, s *scenario, p *proxy) error {
	args := []string{"h2load", "-t", "1", "-c", strconv.Itoa(b.Connections), "-n", "4000"}
	if s.tool != byH2load {
		args = append(args, "--h1")
	}
	for field, value := range s.header {
		if field != "Connection" {
			args = append(args, "-H", field+": "+value)
		}
	}
	if s.send > 0 {
		file := filepath.Join(b.site.dir, "post.body")
		if err := os.WriteFile(file, bytes.Repeat([]byte("x"), s.send), 0o644); err != nil {
			return err
		}
		args = append(args, "-d", file)
	}
	out, err := execute(ctx, append(args, s.url(p)))
	if err != nil {
		return err
	}
	l, err := parseH2load(out)
	if err == nil && l.failures > 0 {
		err = fmt.Errorf("while warming up: %s", l.detail)
	}
	return err
}

// execute runs a program to its end, or ends it with ctx.
func execute(ctx context.Context, args []string) (string, error) {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = stopLimit
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", args[0], err, tail(out, 500))
	}
	return string(out), nil
}

// perfWorks reports whether perf can count instructions here: many virtual
// machines hide the counters.
func perfWorks(ctx context.Context) bool {
	out, err := execute(ctx, []string{"perf", "stat", "-x", ",", "-e", "instructions:u,instructions:k", "--", "true"})
	if err != nil {
		return false
	}
	_, err = parsePerf(out)
	return err == nil
}

// perfPrefix counts the instructions of processes while a program runs.
func perfPrefix(pids, file string) []string {
	return []string{"perf", "stat", "-x", ",", "-e", "instructions:u,instructions:k", "-p", pids, "-o", file, "--"}
}

// parsePerf returns the sum of the counts in perf's output with -x,.
func parsePerf(text string) (int64, error) {
	var sum int64
	found := 0
	for row := range strings.Lines(text) {
		fields := strings.Split(row, ",")
		if len(fields) < 3 || !strings.HasPrefix(fields[2], "instructions") {
			continue
		}
		n, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("perf: %s", strings.TrimSpace(row)) // "<not supported>"
		}
		sum += n
		found++
	}
	if found != 2 {
		return 0, fmt.Errorf("perf counted nothing: %s", tail([]byte(text), 300))
	}
	return sum, nil
}
