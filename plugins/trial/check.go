package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/proxy/config"
)

// Grades of a Finding.
const (
	Good = "ok"   // as it should be
	Note = "note" // worth knowing
	Weak = "weak" // requests fail that needn't
	Bad  = "bad"  // don't use it
)

// Report is what Check found out about a plugin.
type Report struct {
	Module  *plugins.Anatomy `json:"module"`
	Results []Result         `json:"results"`
}

// Result is what one check found.
type Result struct {
	Role  string `json:"role,omitempty"` // "" for all
	Check string `json:"check"`
	Grade string `json:"grade"`
	Text  string `json:"text"`
}

// Failed reports whether there is a Bad result.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Results, func(c Result) bool { return c.Grade == Bad })
}

// checker checks one plugin.
type checker struct {
	cfg     *config.Config
	name    string
	options Options
	request *Case // ordinary, for every role; its Role is set for each
	report  Report
	failing []string // roles in which the ordinary request fails
	serving bool     // its generation is the one that runs
}

// Check runs the plugin called name in cfg through what a gateway can do to it:
// ordinary and odd requests, many at once, traps, and limits. c is an ordinary
// request, nil for a GET of "/". The findings are about a plugin that can't be
// loaded.
func Check(ctx context.Context, cfg *config.Config, name string, c *Case, o Options) (*Report, config.Findings, error) {
	if c == nil {
		c = &Case{Request: Request{Method: "GET", URL: "/"}}
	}
	o.Calls = true
	k := &checker{cfg: cfg, name: name, options: o, request: c}
	b, findings, err := Open(ctx, cfg, name, o)
	if b == nil {
		return nil, findings, err
	}
	defer b.Close()
	if k.report.Module, findings = b.host.Examine(ctx, b.cfg, name); findings.Failed() {
		return nil, findings, nil
	}
	k.add("", "load", Good, fmt.Sprintf("ABI %s, roles %s", k.report.Module.ABI, strings.Join(b.Roles, ", ")))
	for _, role := range b.Roles {
		if err := k.role(ctx, b, role); err != nil {
			return nil, nil, err
		}
	}
	return &k.report, nil, k.limits(ctx)
}

func (k *checker) add(role, check, grade, text string) {
	k.report.Results = append(k.report.Results, Result{role, check, grade, text})
}

// caseFor is the case for a request in a role.
func (k *checker) caseFor(role string, r Request) *Case {
	if role == "request_body" && r.Body == "" { // without content there is no call
		r.Body = "content"
	}
	return &Case{Role: role, Resource: k.request.Resource, Variables: k.request.Variables, Backend: k.request.Backend, Request: r}
}

// role checks one role; an error is one of the trial's.
func (k *checker) role(ctx context.Context, b *Bench, role string) error {
	if aboutNames(role) {
		k.names(ctx, b, role)
		return nil
	}
	first, err := b.Run(ctx, k.caseFor(role, k.request.Request))
	if err != nil {
		return err
	}
	if first.Verdict == "failed" {
		k.failing = append(k.failing, role)
		grade := Bad
		if first.Failure == "fail" {
			grade = Weak // it says itself that it can't
		}
		k.add(role, "ordinary request", grade, first.why()+"\nnothing else was tried in this role; a case with a request that it takes may be what it needs (--request)")
		return nil
	}
	k.add(role, "ordinary request", Good, fmt.Sprintf("%s, status %d, in %v with %d calls of the gateway",
		first.Verdict, first.Reply.Status, first.Took.Round(time.Microsecond), len(first.Calls)))
	if err := k.again(ctx, b, role, first); err != nil {
		return err
	}
	if err := k.traps(ctx, b, role, first); err != nil {
		return err
	}
	if err := k.odd(ctx, b, role); err != nil {
		return err
	}
	return k.together(ctx, b, role, first)
}

// why says in a line what failed.
func (o *Outcome) why() string {
	text := o.Verdict
	for _, part := range []string{o.Failure, o.Fault, firstLine(o.Cause)} {
		if part != "" {
			text += ", " + part
		}
	}
	return text
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// again checks that the same request gives the same outcome on a used instance.
func (k *checker) again(ctx context.Context, b *Bench, role string, first *Outcome) error {
	second, err := b.Run(ctx, k.caseFor(role, k.request.Request))
	if err != nil {
		return err
	}
	if difference := differs(first, second); difference != "" {
		k.add(role, "same request again", Note, "another outcome: "+difference)
		return nil
	}
	k.add(role, "same request again", Good, fmt.Sprintf("same outcome, in %v", second.Took.Round(time.Microsecond)))
	return nil
}

// differs says how b isn't as a, "" when it is.
func differs(a, b *Outcome) string {
	x, y := a.Lines(), b.Lines()
	notLog := func(lines []string) []string {
		return slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "log: ") })
	}
	x, y = notLog(x), notLog(y)
	for i := range max(len(x), len(y)) {
		was, is := "nothing", "nothing"
		if i < len(x) {
			was = x[i]
		}
		if i < len(y) {
			is = y[i]
		}
		if was != is {
			return fmt.Sprintf("%q became %q", was, is)
		}
	}
	return ""
}

// trapsTried is how many of a call's host calls are made to trap, one a request.
const trapsTried = 20

// errTrial is the trap that Check brings about.
var errTrial = errors.New("trap of the trial")

// traps makes the guest trap in each of its host calls: the request must fail
// closed, and the next one must find a healthy instance. What a guest does when
// the reply stands, in proxy_on_log for example, can't fail the request any more.
func (k *checker) traps(ctx context.Context, b *Bench, role string, first *Outcome) error {
	calls := slices.DeleteFunc(slices.Clone(first.Calls), func(c plugins.HostCall) bool { return c.Phase == "start" })
	if len(calls) == 0 {
		k.add(role, "trap", Note, "not tried: the ordinary request calls nothing of the gateway")
		return nil
	}
	tried := min(len(calls), trapsTried)
	for n := 1; n <= tried; n++ {
		b.trapAt(n)
		o, err := b.Run(ctx, k.caseFor(role, k.request.Request))
		b.trapAt(0)
		if err != nil {
			return err
		}
		if n > first.settled {
			if difference := differs(first, o); difference != "" {
				k.add(role, "trap", Bad, fmt.Sprintf("a trap in call %d (%s), when the reply stood, changed it: %s", n, calls[n-1].Function, difference))
				return nil
			}
		} else if o.Failure != "trap" || role == "authorize" && o.Sent != nil {
			k.add(role, "trap", Bad, fmt.Sprintf("a trap in call %d (%s) didn't fail the request: %s", n, calls[n-1].Function, o.why()))
			return nil
		}
		after, err := b.Run(ctx, k.caseFor(role, k.request.Request))
		if err != nil {
			return err
		}
		if after.Verdict == "failed" {
			k.add(role, "trap", Bad, "the request after a trap fails: "+after.why())
			return nil
		}
	}
	text := fmt.Sprintf("%d tried: each costs its request only, which fails; the next one is served", min(tried, first.settled))
	if tried > first.settled {
		text += fmt.Sprintf("; %d when the reply stood: they change nothing", tried-first.settled)
	}
	k.add(role, "trap", Good, text)
	return nil
}

// oddRequest is a request that few clients send.
type oddRequest struct {
	name string
	Request
}

// oddRequests are variations of an ordinary one.
func oddRequests(usual Request) []oddRequest {
	with := func(change func(r *Request)) Request {
		r := usual
		r.Headers = slices.Clone(usual.Headers)
		change(&r)
		return r
	}
	header := func(name, value string) func(*Request) {
		return func(r *Request) { r.Headers = append(r.Headers, Header{name, value}) }
	}
	var many []Header
	for i := range max(0, 199-len(usual.Headers)) { // with Host as many as a listener takes by default
		many = append(many, Header{fmt.Sprintf("X-Header-%d", i), "value"})
	}
	query := "?"
	if strings.Contains(usual.URL, "?") {
		query = "&"
	}
	return []oddRequest{
		{"no headers", with(func(r *Request) { r.Headers = nil })},
		{"empty header values", with(func(r *Request) {
			for i := range r.Headers {
				r.Headers[i].Value = ""
			}
			header("Authorization", "")(r)
			header("X-Empty", "")(r)
		})},
		{"each header twice", with(func(r *Request) { r.Headers = append(r.Headers, r.Headers...) })},
		{"200 headers", with(func(r *Request) { r.Headers = append(r.Headers, many...) })},
		{"a header of 32 KiB", with(header("X-Large", strings.Repeat("x", 32<<10)))},
		{"an Authorization of 8 KiB", with(header("Authorization", "Bearer "+strings.Repeat("x", 8<<10)))},
		{"headers that aren't UTF-8", with(func(r *Request) {
			header("X-Latin", "caf\xe9")(r)
			header("Authorization", "Bearer \xff\xfe")(r)
		})},
		{"a query that isn't UTF-8", with(func(r *Request) { r.URL += query + "q=%FF%FE&%00=%00" })},
		{"a query of 8 KiB", with(func(r *Request) { r.URL += query + strings.Repeat("a=b&", 2<<10) })},
		{"content that isn't JSON", with(func(r *Request) {
			r.Method, r.Body = "POST", `{"a":`
			header("Content-Type", "application/json")(r)
		})},
		{"content that isn't UTF-8", with(func(r *Request) { r.Method, r.Body = "POST", "\xff\xfe\x00\x01" })},
		{"1 MiB of content", with(func(r *Request) { r.Method, r.Body = "POST", strings.Repeat("x", 1<<20) })},
		{"deeply nested JSON", with(func(r *Request) {
			r.Method, r.Body = "POST", strings.Repeat("[", 5000)+strings.Repeat("]", 5000)
			header("Content-Type", "application/json")(r)
		})},
		{"the method DELETE", with(func(r *Request) { r.Method = "DELETE" })},
	}
}

// odd sends what few clients send: nothing of it should make the plugin fail.
func (k *checker) odd(ctx context.Context, b *Bench, role string) error {
	odd := oddRequests(k.request.Request)
	var failed []string
	for _, r := range odd {
		o, err := b.Run(ctx, k.caseFor(role, r.Request))
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if o.Failure == "" {
			continue
		}
		failed = append(failed, r.name+": "+o.why())
		// A plugin that fails again and again isn't called for a while: let one
		// succeed in between.
		if _, err := b.Run(ctx, k.caseFor(role, k.request.Request)); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		k.add(role, "odd requests", Weak, fmt.Sprintf("%d of %d make the plugin fail:\n%s", len(failed), len(odd), strings.Join(failed, "\n")))
		return nil
	}
	k.add(role, "odd requests", Good, fmt.Sprintf("%d, none makes the plugin fail", len(odd)))
	return nil
}

const (
	workers   = 8  // requests at the same time
	perWorker = 25 // requests one after the other
)

// together sends many requests at once: none may see another's.
func (k *checker) together(ctx context.Context, b *Bench, role string, first *Outcome) error {
	var mu sync.Mutex
	var wrong []string
	var broken error
	var all sync.WaitGroup
	began := time.Now()
	for range workers {
		all.Go(func() {
			for range perWorker {
				o, err := b.Run(ctx, k.caseFor(role, k.request.Request))
				mu.Lock()
				if err != nil {
					broken = err
				} else if o.Verdict == "failed" {
					wrong = append(wrong, o.why())
				} else if difference := differs(first, o); difference != "" {
					wrong = append(wrong, difference)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if broken != nil {
		return broken
	}
	if len(wrong) > 0 {
		k.add(role, "many at once", Weak, fmt.Sprintf("%d of %d had another outcome than the first request: %s", len(wrong), workers*perWorker, wrong[0]))
		return nil
	}
	s := b.Stats()
	k.add(role, "many at once", Good, fmt.Sprintf("%d requests, %d at a time, all with the same outcome, in %v; %d instances with %d KiB",
		workers*perWorker, workers, time.Since(began).Round(time.Millisecond), s.Instances, s.Memory>>10))
	return nil
}

// limits loads the plugin with the tightest limits.
func (k *checker) limits(ctx context.Context) error {
	start := k.report.Module.Memory.Minimum
	for _, limit := range []struct {
		name  string
		apply func(o *config.Plugin)
		told  string
	}{
		{"memory", func(o *config.Plugin) { o.Memory = config.Size(max(start, 64<<10)) }, fmt.Sprintf("%d KiB, what it starts with", start>>10)},
		{"deadline", func(o *config.Plugin) { o.Timeout = config.Duration(time.Millisecond) }, "1 ms"},
	} {
		tight := *k.cfg
		o := k.cfg.Plugin[k.name]
		limit.apply(&o)
		tight.Plugin = map[string]config.Plugin{k.name: o}
		b, findings, err := Open(ctx, &tight, k.name, k.options)
		if err != nil {
			return err
		}
		if findings.Failed() {
			k.add("", limit.name, Note, fmt.Sprintf("with %s it doesn't load: %s", limit.told, firstLine(findings[0].Text)))
			continue
		}
		for _, role := range b.Roles {
			if slices.Contains(k.failing, role) || aboutNames(role) {
				continue
			}
			o, err := b.Run(ctx, k.caseFor(role, k.request.Request))
			if err != nil {
				b.Close()
				return err
			}
			if o.Failure != "" {
				k.add(role, limit.name, Note, fmt.Sprintf("with %s the request fails, as it should: %s", limit.told, o.why()))
				continue
			}
			k.add(role, limit.name, Good, fmt.Sprintf("with %s it still works: %s", limit.told, o.Verdict))
		}
		b.Close()
	}
	return nil
}
