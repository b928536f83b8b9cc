package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/wire"
)

// backend is one backend: its targets and how to speak to them.
type backend struct {
	// Set at construction.
	*settings
	options *Options
	buffers *wire.Buffers
	born    time.Time
	gate    *gate         // nil: no bounds
	looked  chan struct{} // closed when the targets are known

	picks   atomic.Pointer[picks]
	next    atomic.Uint32 // whose turn it is
	budget  budget
	retried atomic.Uint64

	work sync.WaitGroup // goroutines
	stop context.CancelFunc

	mu      sync.Mutex // guards what follows, and the targets' state
	all     []*target
	broken  error           // why there is no target
	running context.Context // nil before start
	closed  bool
}

func newBackend(s *settings, o *Options, buffers *wire.Buffers) *backend {
	b := &backend{settings: s, options: o, buffers: buffers, born: time.Now(), gate: newGate(s), looked: make(chan struct{})}
	b.picks.Store(new(picks))
	if s.dynamic {
		return b
	}
	var list []found
	for _, e := range s.entries {
		list = append(list, found{e.address, e.weight, tierOf(e)})
	}
	b.apply(list, nil)
	return b
}

// start begins what goes on besides the requests: health checks, look-ups and
// opening connections ahead. It does nothing the second time.
func (b *backend) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running != nil || b.closed {
		return
	}
	b.running, b.stop = context.WithCancel(context.Background())
	if b.dynamic {
		b.spawn(b.running, b.lookUps)
	}
	if b.health != nil {
		for _, t := range b.all {
			b.watch(t)
		}
	}
	if b.minIdle > 0 {
		b.spawn(b.running, b.warm)
	}
}

// spawn runs f on a goroutine of b's. A panic ends f and nothing else.
func (b *backend) spawn(ctx context.Context, f func(context.Context)) {
	b.work.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				b.options.Logger.Error("a backend's background task panicked", zap.String("backend", b.name), zap.Any("panic", r), zap.Stack("stack"))
			}
		}()
		f(ctx)
	})
}

// close ends what start began, and keeps no further connections. Requests that
// come nevertheless are still carried.
func (b *backend) close() {
	b.mu.Lock()
	b.closed = true
	if b.stop != nil {
		b.stop()
	}
	for _, t := range b.all {
		t.retire()
	}
	b.mu.Unlock()
}

func (b *backend) sweep(now time.Time) {
	b.mu.Lock()
	all := b.all // replaced, never changed
	b.mu.Unlock()
	for _, t := range all {
		t.sweep(now.Add(-b.keepAlive))
	}
}

// holdBody is how much request content is read before a backend connection is
// taken: a slow client then holds none, and the request can be sent again.
const holdBody = wire.Large

// Send implements proxy.Backend.
func (b *backend) Send(ctx context.Context, ex *proxy.Exchange) error {
	content, lent, streams, err := b.hold(ex)
	if err != nil {
		return err
	}
	if lent {
		defer b.buffers.Give(content)
	}
	begin := ex.Lately() // the pipeline has just read it
	if ex.Out.Body != nil {
		begin = ex.Now() // hold may have waited
	}
	limit := begin.Add(ex.Out.Timeout)
	var w want
	if b.hash != nil {
		w.key, w.keyed = b.hash.of(ex)
	}
	t, err := b.enter(ctx, ex, &w, begin, limit)
	now, try := begin, 0
	for fresh := false; err == nil; try++ {
		ex.Notes.Target = t.address
		if err = b.attempt(ctx, ex, t, content, streams, now, limit, fresh); err == nil {
			ex.Times.Integration = ex.Now().Sub(begin)
			ex.Notes.BackendStatus = ex.Back.Status
			ex.Notes.Retries = try
			if b.eject.failures > 0 {
				b.judge(t, ex.Back.Status)
			}
			return nil
		}
		now = time.Now()
		more := try < b.retries && now.Before(limit)
		var stale staleError
		var returned refusedError
		fresh = errors.As(err, &stale)
		if more && (fresh && !streams && repeatable(ex.Out.Method) || errors.As(err, &returned)) {
			b.retried.Add(1) // nothing is wrong with the target: the place is kept
			err = nil
			continue
		}
		if blames(err) {
			b.blame(t)
		}
		b.leave(t)
		var unreached connectError
		if !more || !errors.As(err, &unreached) || !b.others(t) || !b.mayRetry(now) {
			break
		}
		w.failed(t)
		next, refused := b.enter(ctx, ex, &w, now, limit)
		if refused != nil {
			break // the first failure is the one to explain
		}
		b.retried.Add(1)
		t, err = next, nil
	}
	ex.Times.Integration = ex.Now().Sub(begin)
	ex.Notes.Retries = try
	return fault(err)
}

// others reports whether there is a target besides t.
func (b *backend) others(t *target) bool {
	members := b.picks.Load().members
	return len(members) > 1 || len(members) == 1 && members[0].target != t
}

// attempt sends the request to t, where it has a place. On success the place
// is given back when ex ends; on failure the caller still has it.
func (b *backend) attempt(ctx context.Context, ex *proxy.Exchange, t *target, content []byte, streams bool, now, limit time.Time, fresh bool) error {
	if t.sessions != nil {
		return t.sessions.exchange(ctx, ex, b, content, streams, limit)
	}
	again := !streams && repeatable(ex.Out.Method)
	c, err := b.connection(ctx, ex, t, now, limit, again, fresh)
	if err != nil {
		return err
	}
	if err = c.exchange(ex, content, streams, now, limit, b); err != nil {
		return err
	}
	c.placed = true
	return nil
}

// hold reads a short request body whole, so that it can be sent in one piece.
// lent says that content came from the buffers and goes back there. streams says
// that the body goes on; what was read of it stays in front of ex.Out.Body.
func (b *backend) hold(ex *proxy.Exchange) (content []byte, lent, streams bool, err error) {
	out := &ex.Out
	if out.Body == nil {
		return out.Content, false, false, nil
	}
	if out.Length > holdBody {
		return nil, false, true, nil
	}
	if out.Length < 0 {
		content, lent, err = b.holdReady(ex)
		return content, lent, !lent, err
	}
	if body, ok := out.Body.(Arrived); ok {
		if content := body.Arrived(); content != nil {
			return content, false, false, nil
		}
	}
	buf := b.buffers.Take(int(out.Length))
	if err := readExactly(out.Body, buf[:out.Length]); err != nil {
		b.buffers.Give(buf)
		return nil, false, false, bodyFault(err)
	}
	return buf[:out.Length], true, false, nil
}

// Arrived is implemented by bodies that can hand out their content without
// copying it: all of it, valid until the exchange ends, or nil if not all of it
// is here or some was read.
type Arrived interface{ Arrived() []byte }

// Trier is implemented by bodies that can be read without waiting: (0, nil)
// means that nothing is here yet.
type Trier interface {
	TryRead(p []byte) (int, error)
}

// holdReady is hold for content of unknown length: it reads what the client has
// sent already. Malformed content that is here is thus refused before the
// backend hears of the request.
func (b *backend) holdReady(ex *proxy.Exchange) (content []byte, lent bool, err error) {
	out := &ex.Out
	trier, ok := out.Body.(Trier)
	if !ok {
		return nil, false, nil
	}
	buf := b.buffers.Take(holdBody)
	read := 0
	for read < len(buf) {
		n, err := trier.TryRead(buf[read:])
		read += n
		if err == io.EOF {
			if len(out.Body.Trailers()) == 0 {
				return buf[:read], true, nil
			}
			break
		}
		if err != nil {
			b.buffers.Give(buf)
			return nil, false, bodyFault(err)
		}
		if n == 0 {
			break
		}
	}
	if read > 0 {
		out.Body = &resumed{Body: out.Body, front: append([]byte(nil), buf[:read]...)}
	}
	b.buffers.Give(buf)
	return nil, false, nil
}

// resumed is a body of which the front was read before.
type resumed struct {
	proxy.Body
	front []byte
}

func (r *resumed) Read(p []byte) (int, error) {
	if len(r.front) == 0 {
		return r.Body.Read(p)
	}
	n := copy(p, r.front)
	r.front = r.front[n:]
	return n, nil
}

// Abort implements Aborter.
func (r *resumed) Abort() {
	if a, ok := r.Body.(Aborter); ok {
		a.Abort()
	}
}

// readExactly fills p from body, which must end there.
func readExactly(body proxy.Body, p []byte) error {
	for read := 0; ; {
		n, err := body.Read(p[read:])
		read += n
		if err == io.EOF && read == len(p) {
			return nil
		}
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if read == len(p) && n == 0 {
			return errors.New("content goes on past its length")
		}
	}
}

// restless is how long a connection has to be unused to be asked whether it is
// still fit for a request that can be repeated.
const restless = time.Millisecond

// connection returns a kept connection of t, or a new one; again says that the
// request can be sent twice.
func (b *backend) connection(ctx context.Context, ex *proxy.Exchange, t *target, now, limit time.Time, again, fresh bool) (*conn, error) {
	owner := t.announces.owner(ex.In.Client)
	for !fresh {
		c := t.take(owner)
		if c == nil {
			break
		}
		// A request that can't be sent twice doesn't go to a connection that the
		// backend has closed meanwhile, and none to one where bytes have come that
		// nobody asked for: they would be taken for the answer. Asking costs a system
		// call; a connection that was in use just now isn't asked.
		if again && now.Sub(c.since) < restless || c.rests() {
			c.reused = true
			return c, nil
		}
		c.close()
	}
	if (fresh || t.announces != 0) && b.perOne > 0 {
		t.shed() // a kept connection makes room
	}
	limited, cancel := context.WithDeadline(ctx, earlier(now.Add(b.settings.connect), limit))
	defer cancel()
	c, err := t.connect(limited, owner, ex.In.Local)
	if err != nil {
		return nil, connectError{err}
	}
	return c, nil
}

// repeatable reports whether method may be sent twice. RFC 9110, 9.2.2.
func repeatable(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// connectError is a connection that could not be opened: nothing was sent.
type connectError struct{ error }

func (e connectError) Unwrap() error { return e.error }

// staleError is a kept connection that ended before it answered anything.
type staleError struct{ error }

func (e staleError) Unwrap() error { return e.error }

// fault returns what a failed try means to the client.
func fault(err error) error {
	var f proxy.Fault
	if errors.As(err, &f) {
		return f
	}
	switch {
	case wire.TimedOut(err), errors.Is(err, context.DeadlineExceeded):
		return proxy.Fault{Kind: proxy.IntegrationTimeout, Cause: err}
	case errors.Is(err, context.Canceled): // an HTTP/2 client has reset its stream
		return proxy.Fault{Kind: proxy.ClientGone, Cause: err}
	}
	return proxy.Fault{Kind: proxy.IntegrationFailure, Cause: err}
}

// bodyFault returns what a request body that could not be read means.
func bodyFault(err error) error {
	var f proxy.Fault
	if errors.As(err, &f) {
		return f
	}
	return proxy.Fault{Kind: proxy.BadRequest, Cause: fmt.Errorf("read the request body: %w", err)}
}
