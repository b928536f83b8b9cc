package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/http1"
)

// phaseNames are what a trace calls the phases; the table is only read.
var phaseNames = [phaseCount]string{"method request", "integration request", "integration", "integration response", "method response"}

// NamedStep is implemented by a step that a trace calls something else than its
// package.
type NamedStep interface {
	StepName() string
}

// watched are the bodies of a traced exchange that stream.
type watched struct{ bodies []*watchedBody }

type watchedKey struct{}

// watchedBody remembers the begin of what is read of a body.
type watchedBody struct {
	Body
	message *explain.Message // that it is the content of; nil: the reply
	typed   string
	begin   []byte
	length  int64
}

// watchedBytes is how much of a body is remembered.
const watchedBytes = 8 << 10

// Read implements io.Reader.
func (w *watchedBody) Read(p []byte) (int, error) {
	n, err := w.Body.Read(p)
	w.length += int64(n)
	if room := watchedBytes - len(w.begin); room > 0 {
		w.begin = append(w.begin, p[:min(n, room)]...)
	}
	return n, err
}

// StartTrace has what becomes of ex traced. In is filled; FinishTrace ends it.
func (ex *Exchange) StartTrace() {
	t := explain.New(ex.ID, ex.Start)
	ex.Explain = t
	in := &ex.In
	t.Request = explain.Message{Method: strings.Clone(in.Method), Target: t.Target(in.Path, in.RawQuery), Host: strings.Clone(in.Host), Fields: t.Values(in.Fields)}
	content, length := in.Content, in.Length
	if body, can := in.Body.(interface{ Arrived() []byte }); can && !in.Whole {
		content = body.Arrived()
	}
	if t.Request.Content = t.Body(content, in.Fields.GetKnown(http1.ContentType)); t.Request.Content == nil && in.Body != nil {
		t.Request.Content = &explain.Text{Length: max(length, 0), Streamed: true}
	}
}

// FinishTrace completes ex's trace and returns it, nil if there is none. The reply has
// been sent.
func (ex *Exchange) FinishTrace() *explain.Trace {
	t := ex.Explain
	if t == nil {
		return nil
	}
	ex.Explain = nil
	if ex.Fault != nil && t.Fault == nil { // broken off after its head
		t.Fail(ex.Fault.Kind.String(), ex.Reply.Status, ex.Fault.Text(), causeText(ex.Fault))
	}
	if all, is := ex.Kept(watchedKey{}).(*watched); is {
		for _, body := range all.bodies {
			content := t.Body(body.begin, body.typed)
			if content == nil {
				content = &explain.Text{}
			}
			content.Length, content.Streamed = body.length, true
			if body.message == nil {
				t.Reply.Content = content
				continue
			}
			body.message.Content = content
		}
	}
	t.Took = ex.Now().Sub(ex.Start)
	return t
}

// watch remembers what will be read of a body that streams, as the content of m.
func (ex *Exchange) watch(m *explain.Message, r *Response) {
	all, is := ex.Kept(watchedKey{}).(*watched)
	if !is {
		all = &watched{}
		ex.Keep(watchedKey{}, all)
	}
	w := &watchedBody{Body: r.Body, message: m, typed: strings.Clone(r.Fields.GetKnown(http1.ContentType))}
	r.Body = w
	all.bodies = append(all.bodies, w)
}

// traceRoute notes what the matcher found.
func (ex *Exchange) traceRoute() {
	t, stage := ex.Explain, ex.Stage
	t.Arrive(stage.API.Name, stage.Name, ex.Path)
	t.Route = ex.Route.Key
	for _, p := range ex.Params {
		t.Params = append(t.Params, t.Pair(p.Name, p.Value))
	}
	for _, name := range slices.Sorted(maps.Keys(stage.Variables)) {
		t.Variables = append(t.Variables, t.Pair(name, stage.Variables[name]))
	}
}

// RefuseTraced is Refuse for an exchange that is traced.
func (ex *Exchange) RefuseTraced(f Fault) {
	ex.Refuse(f)
	if ex.Stage != nil {
		ex.Explain.Arrive(ex.Stage.API.Name, ex.Stage.Name, ex.Path)
	}
	ex.traceReply()
}

// traceReply notes the reply as the pipeline has made it, and why the exchange failed.
func (ex *Exchange) traceReply() {
	t := ex.Explain
	if f := ex.Fault; f != nil {
		t.Fail(f.Kind.String(), ex.Reply.Status, f.Text(), causeText(f))
	}
	t.Reply = ex.answerMessage(&ex.Reply)
	if ex.Reply.Body != nil {
		ex.watch(nil, &ex.Reply)
	}
}

func causeText(f *Fault) string {
	text := f.Detail
	if f.Cause != nil {
		if text != "" {
			text += ": "
		}
		text += f.Cause.Error()
	}
	return text
}

func (ex *Exchange) answerMessage(r *Response) explain.Message {
	t := ex.Explain
	return explain.Message{Status: r.Status, Fields: t.Values(r.Fields), Content: t.Body(r.Content, r.Fields.GetKnown(http1.ContentType))}
}

// traced returns the pipeline with steps that tell the exchange's trace what they do.
func (p *Pipeline) traced() *Pipeline {
	told := &Pipeline{wholeBody: p.wholeBody}
	for phase, steps := range p.phases {
		for _, s := range steps {
			told.phases[phase] = append(told.phases[phase], &tracedStep{s, Phase(phase), nameOf(s)})
		}
	}
	return told
}

// nameOf returns what a trace calls a step: the package that it is of, which says what
// it provides.
func nameOf(s Step) string {
	if named, is := s.(NamedStep); is {
		return named.StepName()
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf("%T", s), "*"), ".")
	return name
}

// tracedStep is a step of a traced exchange.
type tracedStep struct {
	step  Step
	phase Phase
	name  string
}

// Run runs the step and notes what it has changed.
func (s *tracedStep) Run(ctx context.Context, ex *Exchange) (verdict Verdict, err error) {
	t, before := ex.Explain, stateOf(ex)
	t.Begin(phaseNames[s.phase], s.name)
	began := ex.Now()
	outcome := "panic"
	defer func() { t.End(ex.Now().Sub(began), outcome) }()
	verdict, err = s.step.Run(ctx, ex)
	s.changes(ex, &before)
	switch {
	case err != nil:
		f := asFault(err)
		outcome = "failed: " + f.Error()
	case verdict == Answered:
		outcome = "answered"
	default:
		outcome = "continue"
	}
	if err == nil {
		s.result(ex)
	}
	return verdict, err
}

// result notes what the phase has made so far.
func (s *tracedStep) result(ex *Exchange) {
	t := ex.Explain
	switch s.phase {
	case IntegrationRequest:
		out := &ex.Out
		if out.Method == "" && len(out.Content) == 0 {
			return // nobody else is asked
		}
		path, query, _ := strings.Cut(out.Target, "?")
		m := explain.Message{Method: strings.Clone(out.Method), Target: t.Target(path, query), Host: strings.Clone(out.Host), Fields: t.Values(out.Fields),
			Content: t.Body(out.Content, out.Fields.GetKnown(http1.ContentType))}
		if out.Body != nil {
			m.Content = &explain.Text{Length: max(out.Length, 0), Streamed: true}
		}
		t.Result(m)
	case Integration:
		if ex.Back.Status == 0 {
			return
		}
		m := t.Result(ex.answerMessage(&ex.Back))
		if ex.Back.Body != nil {
			ex.watch(m, &ex.Back)
		}
	case IntegrationResponse:
		if ex.Reply.Status != 0 {
			t.Result(ex.answerMessage(&ex.Reply))
		}
	}
}

// callState is what of an exchange steps change besides messages.
type callState struct {
	caller  Caller
	context int
	rewrite Rewrite
	cache   Cached
	plugin  string
}

func stateOf(ex *Exchange) callState {
	return callState{ex.Caller, len(ex.Caller.Context), ex.Rewrite, ex.Notes.Cache, ex.Notes.PluginFailure}
}

// changes notes what a step has found out or changed.
func (s *tracedStep) changes(ex *Exchange, before *callState) {
	t, now := ex.Explain, &ex.Caller
	changed := func(name, was, is string) {
		if was != is {
			t.Note(name, is, "")
		}
	}
	was := &before.caller
	changed("caller", was.Principal, now.Principal)
	changed("caller's account", was.Identity.AccountID, now.Identity.AccountID)
	changed("caller's ARN", was.Identity.UserARN, now.Identity.UserARN)
	changed("caller's access key ID", was.Identity.AccessKey, now.Identity.AccessKey)
	changed("caller's API key ID", was.KeyID, now.KeyID)
	for i := before.context; i < len(now.Context); i++ {
		t.Note("$context.authorizer."+now.Context[i].Name, now.Context[i].Value, "")
	}
	changed("backend's method, by a filter", before.rewrite.Method, ex.Rewrite.Method)
	changed("backend's path, by a filter", before.rewrite.Path, ex.Rewrite.Path)
	if ex.Notes.Cache != before.cache {
		t.Note("cache", [...]string{"not asked", "miss: the integration is asked", "hit: the answer is from the cache"}[ex.Notes.Cache], "")
	}
	changed("plugin failed", before.plugin, ex.Notes.PluginFailure)
	if s.phase != Integration || ex.Notes.Target == "" {
		return
	}
	t.Note("backend", ex.Notes.Target, "")
	if ex.Notes.Retries > 0 {
		t.Note("further tries", fmt.Sprint(ex.Notes.Retries), "")
	}
	if ex.Notes.BackendStatus != 0 {
		t.Note("backend's status", fmt.Sprint(ex.Notes.BackendStatus), "")
		t.Note("until the head of its answer", fmt.Sprintf("%.3f ms", ex.Times.Integration.Seconds()*1000), "")
	}
}
