package plugins

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// final is a failure after which an exchange can't go on, whatever on_error says:
// the guest has content that belongs to it.
type final struct{ error }

// Unwrap returns the failure.
func (f final) Unwrap() error { return f.error }

// wasmFlow is one direction of a stream: the request or the response. Where
// content goes on while the guest looks at it, the flow is the message's Body.
//
// What reads content or waits for the guest does so without the instance.
type wasmFlow struct {
	stream *wasmStream
	side   side

	// The view of its callbacks.
	ex        *proxy.Exchange
	phase     abi.Phase
	variables []proxy.Param
	limit     time.Duration
	account   *account // who the callbacks are booked to
	draft     draft    // while it isn't the instance's
	editable  bool     // header fields may be changed

	parked   bool          // it waits for the guest
	wake     chan struct{} // one element: look again; made with the flow
	resumed  bool          // proxy_continue_stream since the last callback
	answered bool          // proxy_send_local_response: the draft has the answer
	closed   bool          // proxy_close_stream
	over     bool          // the exchange is

	// The content.
	total      int64      // its length by the message's own account, or http1.Unknown
	unsized    bool       // the guest has removed that account
	under      proxy.Body // what the message had; never changes while the flow is its Body
	source     proxy.Body // the same, until its end
	left       int64      // bytes that source still gives, or http1.Unknown
	body, tail api.Function
	held       []byte // has come and isn't let go
	own        bool   // held may be written to
	paused     bool   // the guest wants to see more before it lets go
	shown      bool   // the guest has seen the end
	inContent  bool   // the callback for content runs, or what it paused for is awaited
	ready      []byte // was let go; from at on it isn't passed on
	at         int
	changed    bool         // what was let go isn't what the message had
	taken      bool         // source was read before the head went on
	trailers   http1.Fields // of source
	installed  bool         // the flow is the message's Body
	length     int64        // of the Body, or http1.Unknown
	err        error        // of the Body

	aborted atomic.Bool // by who reads the Body, from another goroutine
}

const (
	// pauseLimit is how long an exchange may wait for its guest to go on.
	pauseLimit = 30 * time.Second
	// smallContent is how much content is shown to a guest before the head goes on,
	// if it is one that may change content: then the length is known. Bytes.
	smallContent = 64 << 10
	// wasmChunk is how much content is read at once, in bytes.
	wasmChunk = 32 << 10
)

var (
	errPaused    = errors.New("the plugin paused and did not go on")
	errHeldSize  = fmt.Errorf("the plugin holds more than %d bytes of content", abi.MaxBody)
	errFlowOver  = errors.New("the exchange is over")
	errLateReply = errors.New("the plugin answered while content was on its way")
)

// begin makes f ready for the callbacks of the call that in has begun.
func (f *wasmFlow) begin(in *instance) {
	if in != nil {
		f.ex, f.phase, f.variables, f.limit, f.account = in.ex, in.phase, in.variables, in.left(), in.account
	}
	f.editable = in != nil
}

// reset makes f as new, but for the memory of its draft.
func (f *wasmFlow) reset() {
	f.draft.reset()
	s, side, wake, d := f.stream, f.side, f.wake, f.draft
	*f = wasmFlow{stream: s, side: side, wake: wake, draft: d}
}

// carries tells f of its content.
func (f *wasmFlow) carries(source proxy.Body, content []byte, length int64, body, tail api.Function) {
	f.under, f.source, f.held, f.own, f.left, f.body, f.tail = source, source, content, false, length, body, tail
	if f.shown = source == nil && len(content) == 0; f.shown {
		length = http1.Unknown // there is no content to have a length
	}
	f.total = length
}

// putAway and takeOut move f's view out of the instance and into it.
func (f *wasmFlow) putAway() {
	in := f.stream.guest.in
	f.draft, in.draft = in.draft, f.draft
	in.ex = nil
}

func (f *wasmFlow) takeOut() {
	in := f.stream.guest.in
	f.draft, in.draft = in.draft, f.draft
	in.ex, in.phase, in.variables, in.late = f.ex, f.phase, f.variables, f.late()
	in.passing = proxy.PassingOf(f.ex.In.Fields)
}

// leave gives the instance back for a while; come takes it again.
func (f *wasmFlow) leave() {
	in := f.stream.guest.in
	f.draft, in.draft = in.draft, f.draft
	in.plugin.lend(in)
}

func (f *wasmFlow) come() error {
	g := f.stream.guest
	in := g.in
	if err := in.plugin.retake(in); err != nil {
		return err
	}
	in.begin(f.phase, f.ex, f.variables, f.limit)
	in.account, in.late = f.account, f.late()
	f.draft, in.draft = in.draft, f.draft
	g.enter(f)
	return nil
}

// late reports whether somebody else than the pipeline's goroutine may read the content
// by now: the exchange's own memory isn't for f then.
func (f *wasmFlow) late() bool { return f.installed && f.side == requestSide }

// wait waits until the guest goes on with f, answers, or closes the stream: in a
// callback of another context or of the plugin's own.
func (f *wasmFlow) wait() error {
	timer := time.NewTimer(pauseLimit)
	defer timer.Stop()
	for !f.resumed && !f.answered && !f.closed {
		select {
		case <-f.wake: // of an earlier wait
		default:
		}
		if f.aborted.Load() {
			return errFlowOver
		}
		f.parked = true
		f.leave()
		began, late := time.Now(), false
		select {
		case <-f.wake:
		case <-timer.C:
			late = true
		}
		waited := time.Since(began)
		if err := f.come(); err != nil {
			return err
		}
		f.parked = false
		if !f.late() {
			f.ex.Notes.PluginWaiting += waited
		}
		if f.account != nil {
			f.account.waiting.Add(int64(waited))
		}
		if late {
			return &failure{"deadline", errPaused}
		}
	}
	if f.closed {
		return &failure{"fail", errClosedStream}
	}
	f.paused = false
	return nil
}

// poke has a flow that waits look again.
func (f *wasmFlow) poke() {
	if f.parked {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// lasting is err, which ends a call of a role, for who asks whether the exchange can
// go on all the same.
func (f *wasmFlow) lasting(err error) error {
	_, fault := err.(proxy.Fault)
	if err == nil || !f.taken || fault && !errors.Is(err, proxy.Fault{Kind: proxy.Overloaded}) {
		return err
	}
	return final{err}
}

// head runs the callback for header fields, and when that pauses, what has to
// happen before they may go on.
func (f *wasmFlow) head(callback api.Function, tellsEnd bool, fields int32) error {
	g := f.stream.guest
	if callback == nil {
		return nil
	}
	g.enter(f)
	arguments := [3]uint64{uint64(f.stream.id), uint64(len(g.pairs(fields)))}
	given := arguments[:2]
	if tellsEnd {
		if f.shown {
			arguments[2] = 1
		}
		given = arguments[:3]
	}
	a, err := f.action(callback, given...)
	switch {
	case err != nil || f.answered || a == actionContinue || f.resumed:
		return err
	case a == actionEnd:
		f.drop()
		return nil
	case a >= actionHold, f.shown, f.body == nil, g.period > 0, f.stream.calls > 0: // it is told when to go on
		// Envoy: a pause holds the content too.
		return f.wait()
	}
	// Who waits for nothing else paused to see the content before the head goes on.
	f.paused = true
	for f.paused && !f.answered {
		if err := f.more(); err != nil {
			return err
		}
	}
	return nil
}

// drop makes the message one without content.
func (f *wasmFlow) drop() {
	f.source, f.held, f.ready, f.shown, f.changed = nil, nil, nil, true, true
	f.settle()
}

// pass shows the guest the content that is here already, or that is worth waiting
// for before the head goes on, and stands in the way of the rest.
func (f *wasmFlow) pass() error {
	if f.body == nil && f.tail == nil {
		return nil
	}
	edits := f.stream.guest.edits
	for !f.shown && !f.answered && (f.source == nil || edits && f.left >= 0 && f.left <= smallContent) {
		if err := f.more(); err != nil {
			return err
		}
	}
	if f.shown || f.answered {
		f.settle()
		return nil
	}
	f.installed, f.editable = true, false
	f.length = http1.Unknown
	if !edits && !f.changed && f.left >= 0 {
		f.length = f.left + int64(len(f.ready)+len(f.held))
	}
	return nil
}

// settle makes what was let go the content, if it isn't what came.
func (f *wasmFlow) settle() {
	if f.changed && !f.answered {
		d := &f.stream.guest.in.draft
		d.content[f.side] = f.ready
		d.changes |= changedContent << f.side
	}
}

// more shows the guest the next piece of content within a call of a role.
func (f *wasmFlow) more() error {
	if f.source != nil {
		f.leave()
		err := f.fill()
		if back := f.come(); back != nil {
			return back
		}
		if err != nil {
			return err
		}
		f.changed, f.taken = true, true // it isn't where the message has its content
	}
	return f.show()
}

// fill reads the next piece. It is called without the instance.
func (f *wasmFlow) fill() error {
	room := wasmChunk
	if f.left >= 0 && f.left < wasmChunk {
		room = int(f.left) + 1
	}
	if !f.own {
		f.held, f.own = append(make([]byte, 0, len(f.held)+room), f.held...), true
	}
	f.held = slices.Grow(f.held, room)
	n, err := f.source.Read(f.held[len(f.held):cap(f.held)])
	f.held = f.held[:len(f.held)+n]
	if f.left >= 0 {
		f.left -= int64(n)
		if f.left == 0 && err == nil { // a body says that it is over when it is asked again
			_, err = f.source.Read(f.held[len(f.held) : len(f.held)+1])
		}
	}
	if err == io.EOF {
		f.trailers = append(f.trailers, f.source.Trailers()...)
		f.source = nil
		return nil
	}
	if err == nil && len(f.held)+len(f.ready) > abi.MaxBody {
		err = &failure{"answer", errHeldSize}
	}
	return err
}

// show has the guest look at what it holds, and at the end waits until it lets
// go.
func (f *wasmFlow) show() error {
	f.inContent = true
	defer func() { f.inContent = false }()
	ends := f.source == nil
	tail := ends && len(f.trailers) > 0 && f.tail != nil
	if f.body != nil && (len(f.held) > 0 || ends && !tail) {
		if err := f.lookAt(f.body, uint64(len(f.held)), flag(ends && !tail)); err != nil {
			return err
		}
	} else if !f.paused {
		f.let()
	}
	if !ends || f.answered {
		return nil
	}
	f.shown = true
	if tail {
		if err := f.lookAt(f.tail, uint64(len(f.trailers))); err != nil {
			return err
		}
	}
	if f.paused && !f.answered {
		if err := f.wait(); err != nil {
			return err
		}
		f.let()
	}
	return nil
}

// lookAt runs a callback for content or trailers and does what it returns.
func (f *wasmFlow) lookAt(callback api.Function, arguments ...uint64) error {
	given := [3]uint64{uint64(f.stream.id)}
	n := 1 + copy(given[1:], arguments)
	a, err := f.action(callback, given[:n]...)
	switch {
	case err != nil || f.answered:
		return err
	case a == actionContinue || f.resumed:
		f.let()
		return nil
	case a == actionTaken:
		f.held, f.own, f.changed = nil, false, true
	}
	f.paused = true
	return nil
}

// let lets go of what is held.
func (f *wasmFlow) let() {
	f.paused = false
	if len(f.ready) > 0 {
		f.ready = append(f.ready, f.held...)
		f.held = f.held[:0]
		return
	}
	empty := f.ready
	f.ready, f.at = f.held, 0
	f.held, f.own = empty, cap(empty) > 0
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// Read is io.Reader's: the content as the guest lets go of it.
func (f *wasmFlow) Read(p []byte) (int, error) {
	for f.at == len(f.ready) {
		switch {
		case f.err != nil:
			return 0, f.err
		case f.shown:
			return 0, io.EOF
		}
		f.err = f.advance()
	}
	n := copy(p, f.ready[f.at:])
	f.at += n
	return n, nil
}

// Abort makes a Read that waits fail, as that of the message's own Body would. It
// is called from another goroutine, when nobody wants the rest any more.
func (f *wasmFlow) Abort() {
	f.aborted.Store(true)
	if a, ok := f.under.(interface{ Abort() }); ok {
		a.Abort()
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Continue tells the sender of the message's own Body to send it, if that waits for
// leave.
func (f *wasmFlow) Continue() error {
	if c, ok := f.under.(interface{ Continue() error }); ok {
		return c.Continue()
	}
	return nil
}

// Trailers are the fields after the content, as the guest has left them.
func (f *wasmFlow) Trailers() http1.Fields { return f.trailers }

// advance shows the guest the next piece of content while the message is on its
// way.
func (f *wasmFlow) advance() error {
	f.ready, f.at = f.ready[:0], 0
	if err := f.fill(); err != nil {
		return err
	}
	if err := f.come(); err != nil {
		return err
	}
	g := f.stream.guest
	in := g.in
	var err error
	if f.over {
		err = errFlowOver
	} else if guilty := f.show(); guilty != nil {
		err = guilty
		g.enter(nil)
		in.plugin.give(in, guilty)
		return err
	}
	if f.answered {
		// Only a request can: it is the client's answer now, and the backend gets no more.
		late := in.draft
		in.draft = draft{}
		f.stream.late = &late
		err = proxy.Fault{Kind: proxy.AccessDenied, Cause: errLateReply}
	}
	g.enter(nil)
	in.plugin.lend(in)
	return err
}
