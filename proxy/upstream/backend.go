package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/wire"
)

// backend is one backend: its targets and how to speak to them.
type backend struct {
	*settings
	all     []*target
	buffers *wire.Buffers
	next    atomic.Uint32 // target whose turn it is
	broken  error         // a target that can't be used, found at construction
}

func newBackend(s *settings, o *Options, buffers *wire.Buffers) *backend {
	b := &backend{settings: s, buffers: buffers}
	for _, address := range s.targets {
		t, err := newTarget(address, s, o, buffers)
		if err != nil {
			b.broken = fmt.Errorf("target %s: %w", address, err)
			continue
		}
		b.all = append(b.all, t)
	}
	return b
}

func (b *backend) close() {
	for _, t := range b.all {
		t.close()
	}
}

func (b *backend) sweep(now time.Time) {
	for _, t := range b.all {
		t.sweep(now.Add(-b.keepAlive))
	}
}

// holdBody is how much request content is read before a backend connection is
// taken: a slow client then holds none, and the request can be sent again.
const holdBody = wire.Large

// Send implements proxy.Backend.
func (b *backend) Send(ctx context.Context, ex *proxy.Exchange) error {
	content, lent, err := b.hold(ex)
	if err != nil {
		return err
	}
	if lent {
		defer b.buffers.Give(content)
	}
	begin := time.Now()
	limit := begin.Add(ex.Out.Timeout)
	streams := ex.Out.Body != nil && !lent
	turn := int(b.next.Add(1))
	fresh := false
	for try := 0; ; try++ {
		now := begin
		if try > 0 {
			now = time.Now()
		}
		c, err := b.connect(ctx, ex, turn+try, now, limit, fresh)
		if err == nil {
			err = c.exchange(ex, content, streams, now, limit, b)
		}
		if err == nil {
			ex.Times.Integration = time.Since(begin)
			ex.Notes.BackendStatus = ex.Back.Status
			ex.Notes.Retries = try
			return nil
		}
		var stale staleError
		fresh = errors.As(err, &stale)
		var unreached connectError
		again := fresh && !streams && repeatable(ex.Out.Method) || errors.As(err, &unreached) && len(b.all) > 1
		if !again || try >= b.retries || !time.Now().Before(limit) {
			ex.Times.Integration = time.Since(begin)
			ex.Notes.Retries = try
			return fault(err)
		}
	}
}

// hold reads a short request body whole, so that it can be sent in one piece.
// lent says that content came from the buffers and goes back there. When the
// body goes on, what was read of it stays in front of ex.Out.Body.
func (b *backend) hold(ex *proxy.Exchange) (content []byte, lent bool, err error) {
	out := &ex.Out
	if out.Body == nil {
		return out.Content, false, nil
	}
	if out.Length > holdBody {
		return nil, false, nil
	}
	if out.Length < 0 {
		return b.holdReady(ex)
	}
	buf := b.buffers.Take(int(out.Length))
	if err := readExactly(out.Body, buf[:out.Length]); err != nil {
		b.buffers.Give(buf)
		return nil, false, bodyFault(err)
	}
	return buf[:out.Length], true, nil
}

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

// connect returns a kept connection of the turn's target, or a new one.
func (b *backend) connect(ctx context.Context, ex *proxy.Exchange, turn int, now, limit time.Time, fresh bool) (*conn, error) {
	if len(b.all) == 0 {
		return nil, connectError{b.broken}
	}
	t := b.all[turn%len(b.all)]
	for !fresh {
		c := t.take()
		if c == nil {
			break
		}
		// A request that can't be sent twice doesn't go to a connection that the
		// backend has closed meanwhile; asking costs a system call.
		if repeatable(ex.Out.Method) && now.Sub(c.since) < time.Second || !c.wire.Gone() {
			c.reused = true
			return c, nil
		}
		c.close()
	}
	deadline := now.Add(b.settings.connect)
	if limit.Before(deadline) {
		deadline = limit
	}
	limited, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	c, err := t.dial(limited)
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
	if wire.TimedOut(err) || errors.Is(err, context.DeadlineExceeded) {
		return proxy.Fault{Kind: proxy.IntegrationTimeout, Cause: err}
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
