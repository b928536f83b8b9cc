package plugins

import (
	"errors"
	"io"
	"iter"
	"math"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// answering is a call of the role integrate whose guest reads the request's content
// as it comes, or sends its answer as it makes it. For the latter it is the answer's
// Body: the guest runs while somebody waits in Read, and stands still while the
// client takes what it has sent. So the two never run at the same time, and nothing
// of the answer is ever stored.
type answering struct {
	// Set at construction.
	step *integration
	in   *instance
	ex   *proxy.Exchange

	// Of the coroutine that the guest runs on; unused for one that doesn't send.
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool

	taken   int    // of content that is whole
	drained bool   // the request's content is at its end
	broken  error  // why it couldn't be read
	begun   bool   // the head is out
	gone    bool   // nobody wants the answer any more
	over    bool   // the call is
	pending []byte // what the guest sends, in its memory
	result  error  // of the call
	err     error  // what Read ends with
}

// start runs the call until its head is there, which is true then, or its end.
func (a *answering) start() (begun bool) {
	a.in.stream = a
	if !a.step.plugin.sends {
		a.result = a.step.abi.integrate(a.in)
		return false
	}
	a.next, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		a.yield = yield
		a.result = a.step.abi.integrate(a.in)
	})
	_, begun = a.next()
	return begun
}

// head makes the answer's head from what the guest has set, and its content what the
// guest will send.
func (a *answering) head() {
	ex, in := a.ex, a.in
	in.answerTo(&ex.Back)
	ex.Back.Content, ex.Back.Body, ex.Back.Length = nil, a, http1.Unknown
	if ex.In.Body != nil && !ex.In.Whole && !a.drained {
		ex.Out.Body = ex.In.Body // the guest may go on reading: it is nobody else's to skip
	}
	// From now on the pipeline goes on without the guest, which sees what it makes of the head.
	in.phase, in.late = abi.ResponseBody, true
	ex.OnDone(a.close)
}

// Read implements proxy.Body.
func (a *answering) Read(to []byte) (int, error) {
	for len(a.pending) == 0 {
		switch {
		case a.over:
			return 0, a.err
		case len(to) == 0:
			return 0, nil
		}
		if _, more := a.next(); !more {
			a.finish()
		}
	}
	n := copy(to, a.pending)
	a.pending = a.pending[n:]
	return n, nil
}

// Buffered returns how many bytes Read gives without waiting, or fewer.
func (a *answering) Buffered() int { return len(a.pending) }

// Trailers implements proxy.Body; there are none.
func (a *answering) Trailers() http1.Fields { return nil }

// finish ends the call, whose guest has returned or was cut off.
func (a *answering) finish() {
	a.over, a.err = true, io.EOF
	err := a.result
	a.step.plugin.give(a.in, err)
	if err != nil {
		a.err = a.step.failed(a.ex, err)
	}
}

// close ends the call of an answer that nobody reads to its end: the guest is told,
// and has shortTimeout to come to its own.
func (a *answering) close() {
	if a.over {
		return
	}
	a.pending, a.gone = nil, true
	a.stop()
	a.over, a.err = true, errUnread
	err := a.result
	if f := (*failure)(nil); errors.As(err, &f) {
		switch f.what { // that it can't send its answer isn't the guest's fault
		case "fail":
			err = nil
		case "deadline":
			err = &failure{"gone", f.err}
		}
	}
	a.step.plugin.give(a.in, err)
}

var errUnread = errors.New("the answer was given up")

// pullContent reads the request's content, for which it waits.
func (in *instance) pullContent(to []byte) int32 {
	a := in.stream
	switch {
	case a == nil:
		return abi.WrongPhase
	case a.broken != nil:
		return brokenCode(a.broken)
	case in.ex.In.Whole:
		n := copy(to, in.ex.In.Content[a.taken:])
		a.taken += n
		return int32(n)
	case in.ex.In.Body == nil, a.drained, len(to) == 0:
		return 0
	}
	in.endTurn()
	before := in.plugin.host.now()
	n, err := 0, error(nil)
	for n == 0 && err == nil {
		n, err = in.ex.In.Body.Read(to)
	}
	in.resume(before)
	switch {
	case err == io.EOF:
		a.drained = true
	case err != nil:
		a.broken = err
		if n == 0 {
			return brokenCode(err)
		}
	}
	return int32(n)
}

// brokenCode tells a guest why there is no more of the request's content.
func brokenCode(err error) int32 {
	switch {
	case errors.Is(err, proxy.Fault{Kind: proxy.RequestTooLarge}):
		return abi.Limit
	case errors.Is(err, proxy.Fault{Kind: proxy.RequestTimeout}):
		return abi.Deadline
	}
	return abi.Unavailable
}

// sendContent sends b, and the head ahead of the first one. It returns when the
// client has taken it, or is about to, and more is wanted.
func (in *instance) sendContent(b []byte) int32 {
	a := in.stream
	switch {
	case a == nil, !a.begun && (in.answered || in.draft.changes&(changedContent<<responseSide) != 0):
		return abi.WrongPhase // the answer is another one
	case !a.begun && withoutContent(in.draft.statusOr200()):
		return abi.Denied
	case a.gone:
		return abi.Unavailable
	case a.begun && len(b) == 0:
		return abi.OK
	}
	a.begun, a.pending = true, b
	in.endTurn()
	before := in.plugin.host.now()
	a.yield(struct{}{})
	in.resume(before)
	in.latest = math.MaxInt64 // the client has its answer, and the call as long as it goes on
	if a.gone {
		in.deadline = in.plugin.host.now() + int64(shortTimeout)
		in.latest = in.deadline
		return abi.Unavailable
	}
	return abi.OK
}

// resume goes on with a call that has stood still since before: that time isn't the
// guest's, and the next piece of content has as much as the first had.
func (in *instance) resume(before int64) {
	now := in.plugin.host.now()
	took := now - before
	in.began += took
	if in.lastTick != 0 {
		in.lastTick += took
	}
	if in.latest != math.MaxInt64 {
		in.latest += took
	}
	in.deadline = min(now+int64(in.stream.step.limit), in.latest)
}

// statusOr200 is the status that an answer of the guest's own has.
func (d *draft) statusOr200() int {
	if d.changes&changedStatus != 0 {
		return d.status
	}
	return 200
}

// stream runs the call of a guest that reads or sends content in pieces.
func (i *integration) stream(in *instance, ex *proxy.Exchange) (proxy.Verdict, error) {
	a := &answering{step: i, in: in, ex: ex}
	if a.start() {
		a.head()
		ex.Notes.BackendStatus = ex.Back.Status
		return proxy.Continue, nil
	}
	verdict, err := i.answered(in, ex, a.result)
	if fault, is := a.broken.(proxy.Fault); is { // whatever the guest has made of it
		return proxy.Continue, fault
	}
	return verdict, err
}
