package plugins

import (
	"errors"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// wasmStream is one exchange as one instance of a proxy-wasm plugin knows it: a
// stream context. Its instance is free for others whenever none of its callbacks
// runs. Only who holds the instance looks at it or changes it.
type wasmStream struct {
	guest *proxyWasm
	id    uint32
	ex    *proxy.Exchange // nil once it is over
	next  *wasmStream     // of the same plugin and exchange: a plugin may filter twice

	request, response wasmFlow

	sent                 int           // requests of the guest's own
	calls                int           // of them, those that aren't answered yet
	begun                bool          // response was called
	leaving              bool          // the guest is done with it
	once                 bool          // it ended before its exchange, which still refers to it
	late                 *draft        // an answer that came while the request's content was on its way
	set                  []proxy.Param // properties that the guest has set
	setSize              int           // bytes of them
	authority, forwarded string        // header fields that the host makes up, once they were asked for

	finish func() // s.done, made once
}

// The actions that callbacks return: proxy_action_t, and what Envoy has besides.
const (
	actionContinue = 0
	actionPause    = 1
	actionEnd      = 2 // of …_headers: drop the content
	actionHold     = 3 // of …_headers: hold the content too (as 4)
	actionTaken    = 3 // of …_body: the guest has taken what there was
	actionMost     = 4
)

var (
	errClosedStream = errors.New("the plugin closed the stream")
	errAction       = errors.New("the plugin returned an unknown action")
)

const (
	// maxLingering is how many streams of one instance may go on after their exchanges.
	maxLingering = 256
	// maxSpare is how many unused streams an instance keeps.
	maxSpare = 64
)

// streamKey is a plugin as the key of its latest stream in an exchange.
type streamKey plugin

// open makes the context of the exchange that the instance serves.
func (g *proxyWasm) open() (*wasmStream, error) {
	in := g.in
	s := g.newStream()
	for g.last++; g.last <= rootContext || g.streams[g.last] != nil; g.last++ {
	}
	s.id, s.ex = g.last, in.ex
	s.request.begin(in)
	s.next, _ = in.ex.Kept((*streamKey)(in.plugin)).(*wasmStream)
	in.ex.Keep((*streamKey)(in.plugin), s)
	in.ex.OnDone(s.finish)
	g.streams[s.id] = s
	return s, s.request.call(g.on.create, uint64(s.id), rootContext)
}

func (g *proxyWasm) newStream() *wasmStream {
	if n := len(g.spare); n > 0 {
		s := g.spare[n-1]
		g.spare = g.spare[:n-1]
		return s
	}
	s := &wasmStream{guest: g}
	s.finish = s.done
	s.request.stream, s.request.side, s.request.wake = s, requestSide, make(chan struct{}, 1)
	s.response.stream, s.response.side, s.response.wake = s, responseSide, make(chan struct{}, 1)
	return s
}

// request runs the callbacks for a request, until it may go on.
func (proxyWasmABI) request(in *instance) (verdict int32, err error) {
	g := in.guestOfProxyWasm()
	s, err := g.open()
	defer func() { s.begun = s.begun || err != nil }() // who has failed sees no response
	if err != nil {
		return 0, err
	}
	f, from := &s.request, &in.ex.In
	if from.Whole {
		f.carries(nil, from.Content, int64(len(from.Content)), g.on.requestBody, g.on.requestTrailers)
	} else {
		f.carries(from.Body, nil, from.Length, g.on.requestBody, g.on.requestTrailers)
	}
	err = f.head(g.on.requestHeaders, g.on.requestEnds, mapRequestHeaders)
	if err == nil && !f.answered {
		err = f.pass()
	}
	g.enter(nil)
	switch {
	case err != nil:
		return 0, f.lasting(err)
	case f.answered:
		return abi.Answer, nil
	case f.installed:
		from.Body, from.Whole, from.Length = f, false, f.length
	}
	return abi.Continue, nil
}

// response runs the callbacks for a response, as far as they come before its head.
func (proxyWasmABI) response(in *instance) error {
	g := in.guestOfProxyWasm()
	s := streamFor(in.plugin, in.ex)
	if s == nil || s.guest != g {
		return nil // the request never came to this plugin
	}
	s.begun = true
	f, reply := &s.response, &in.ex.Reply
	f.begin(in)
	content, body, length := reply.Content, reply.Body, reply.Length
	if s.late != nil {
		in.draft, s.late = *s.late, nil
		content, body = in.draft.content[responseSide], nil
	}
	if reply.Status == 101 || in.ex.In.Method == "HEAD" || withoutContent(reply.Status) {
		content, body = nil, nil
	}
	f.carries(body, content, length, g.on.responseBody, g.on.responseTrailers)
	err := f.head(g.on.responseHeaders, g.on.responseEnds, mapResponseHeaders)
	if err == nil && !f.answered {
		err = f.pass()
	}
	if err == nil && f.installed && !f.answered {
		reply.Body, reply.Content, reply.Length = f, nil, f.length
	}
	if err == nil && reply.Status == 101 {
		s.once = true
		err = s.end() // a tunnel may outlive the plugin
	}
	g.enter(nil)
	return f.lasting(err)
}

// authorize runs the callback for a request's header fields: who sends a local
// response refuses.
func (proxyWasmABI) authorize(in *instance) (decision int32, err error) {
	g := in.guestOfProxyWasm()
	s, err := g.open()
	if err != nil {
		return 0, err
	}
	f := &s.request
	f.carries(nil, nil, 0, nil, nil)
	err = f.head(g.on.requestHeaders, g.on.requestEnds, mapRequestHeaders)
	s.begun = true // there is no response to see
	g.enter(nil)
	switch {
	case err != nil:
		return 0, err
	case !f.answered:
		return abi.Allow, nil
	case in.draft.status == 401:
		return abi.Unauthenticated, nil
	}
	return abi.Deny, nil
}

// streamFor returns the latest stream of p in ex whose response hasn't begun. Who
// filters last on the way in filters first on the way out.
func streamFor(p *plugin, ex *proxy.Exchange) *wasmStream {
	s, _ := ex.Kept((*streamKey)(p)).(*wasmStream)
	for s != nil && s.begun {
		s = s.next
	}
	return s
}

// boundTo returns the instance that knows ex from its request.
func (proxyWasmABI) boundTo(p *plugin, ex *proxy.Exchange) (in *instance, sees bool) {
	if s := streamFor(p, ex); s != nil {
		return s.guest.in, true
	}
	return nil, false
}

// done ends the stream when the reply has been sent or given up.
func (s *wasmStream) done() {
	in := s.guest.in
	p := in.plugin
	if s.ex == nil || p.retake(in) != nil { // it ended with its instance
		return
	}
	s.response.begin(nil)
	in.begin(abi.Response, s.ex, s.response.variables, s.request.limit)
	in.account = s.request.account
	if err := s.end(); err != nil {
		p.give(in, err)
		return
	}
	p.lend(in)
}

// end runs the last callbacks. If one fails, that costs the instance only.
func (s *wasmStream) end() error {
	g := s.guest
	f := &s.response
	f.over, s.request.over, s.begun = true, true, true
	err := f.call(g.on.done, uint64(s.id))
	if err != nil {
		return err
	}
	if g.on.done == nil || uint32(g.arguments[0]) != 0 || g.lingering >= maxLingering {
		return g.forget(s)
	}
	g.lingering++
	s.ex, s.next = nil, nil // it is the guest's now, until proxy_done
	g.enter(nil)
	return nil
}

// forget runs the callbacks by which a guest lets go of a stream.
func (g *proxyWasm) forget(s *wasmStream) error {
	f := &s.response
	err := f.call(g.on.log, uint64(s.id))
	if err == nil {
		err = f.call(g.on.delete, uint64(s.id))
	}
	g.enter(nil)
	delete(g.streams, s.id)
	s.ex, s.next = nil, nil
	if !s.request.installed && !s.response.installed && !s.once && s.calls == 0 && len(g.spare) < maxSpare {
		// Nobody else has a part of it.
		clear(s.set)
		s.set, s.setSize = s.set[:0], 0
		s.begun, s.leaving, s.sent, s.late, s.authority, s.forwarded = false, false, 0, nil, "", ""
		s.request.reset()
		s.response.reset()
		g.spare = append(g.spare, s)
	}
	return err
}

// enter makes f the one whose callback runs next; nil is the plugin's own context.
func (g *proxyWasm) enter(f *wasmFlow) {
	g.owner, g.flow, g.context = f, f, rootContext
	if f != nil {
		g.context = f.stream.id
	}
}

// name makes the context with this number the one that host functions are about,
// until the callback ends: proxy_set_effective_context.
func (g *proxyWasm) name(context uint32) wasmStatus {
	if context == rootContext {
		g.look(nil)
		g.context = context
		return statusOK
	}
	s := g.streams[context]
	if s == nil {
		return statusBadArgument
	}
	switch {
	case g.owner != nil && g.owner.stream == s:
		g.look(g.owner)
	case s.response.parked:
		g.look(&s.response)
	case s.request.parked:
		g.look(&s.request)
	default:
		g.look(nil) // its exchange is at work elsewhere: there is nothing to see
	}
	g.context = context
	return statusOK
}

// look gives the guest the view of f: its own, or that of one that waits.
func (g *proxyWasm) look(f *wasmFlow) {
	if f == g.flow {
		return
	}
	if g.flow != nil {
		g.flow.putAway()
	}
	g.flow = f
	if f != nil {
		f.takeOut()
	}
}

// call runs a callback of f's stream.
func (f *wasmFlow) call(callback api.Function, arguments ...uint64) error {
	g := f.stream.guest
	g.enter(f)
	if err := g.call(callback, arguments...); err != nil {
		return err
	}
	g.look(f)
	if g.in.failed {
		return &failure{"fail", errors.New(g.in.failure)}
	}
	if len(g.leaving) == 0 {
		return nil
	}
	result := g.arguments[0]
	err := g.release()
	g.enter(f)
	g.arguments[0] = result
	return err
}

// action runs a callback that returns an action. A closed stream is a failure.
func (f *wasmFlow) action(callback api.Function, arguments ...uint64) (uint32, error) {
	f.resumed = false
	if err := f.call(callback, arguments...); err != nil {
		return 0, err
	}
	a := uint32(f.stream.guest.arguments[0])
	switch {
	case f.closed:
		return 0, &failure{"fail", errClosedStream}
	case a > actionMost:
		return 0, &failure{"answer", errAction}
	}
	return a, nil
}
