package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// call is one exchange over one HTTP/2 stream. The connection's own goroutines
// move the bytes; the exchange's goroutine waits for them, and so can see to the
// time limits and the client meanwhile.
type call struct {
	// Set at construction.
	ex       *proxy.Exchange
	settings *settings
	pool     *sessions
	session  *session
	cancel   context.CancelFunc
	content  *content // nil when the request has none
	informed chan informational

	// Owned by the exchange.
	response *http.Response
	backend  *backend // gets the place at the target back; nil: there is none
	ended    bool     // the answer's content was read to its end
	cut      bool     // it broke off

	waiting  atomic.Int64  // when the wait for further content began, Unix nanoseconds; 0: no wait
	spent    atomic.Int64  // nanoseconds of the waits before
	patience time.Duration // for all waits together; set before the first

	mu    sync.Mutex // guards what follows
	watch *time.Timer
	over  bool
	cause error // why the stream was cancelled by us
}

// informational is an answer 1xx.
type informational struct {
	status int
	fields http1.Fields
}

// refusedError is a request that the backend has said it did not process: it
// may be sent again whatever its method. RFC 9113, 8.7.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

// raceTries is how often a request goes to another connection because the one
// before was ended by the peer just when the request was sent.
const raceTries = 3

// exchange sends ex.Out over one of p's connections and reads the head of the
// answer into ex.Back. content is the whole of the request's content, unless
// streams says that it comes from ex.Out.Body.
//
// b has given the exchange a place at the target, which then ends with ex; it is
// nil for a request of our own.
func (p *sessions) exchange(ctx context.Context, ex *proxy.Exchange, b *backend, whole []byte, streams bool, limit time.Time) error {
	if streams {
		if body, ok := ex.Out.Body.(Continuer); ok {
			if err := body.Continue(); err != nil {
				return err
			}
		}
	}
	for try := 0; ; try++ {
		err := p.try(ctx, ex, b, whole, streams, limit)
		var refused refusedError
		if !errors.As(err, &refused) || !ended(refused.error) || try == raceTries {
			return err
		}
	}
}

func (p *sessions) try(ctx context.Context, ex *proxy.Exchange, b *backend, whole []byte, streams bool, limit time.Time) error {
	limited, cancelLimited := context.WithDeadline(ctx, limit)
	s, carried, err := p.take(limited, p.target.announces.owner(ex.In.Client), ex.In.Local)
	cancelLimited()
	if err != nil {
		if ctx.Err() != nil {
			return leftWaiting(ctx)
		}
		return err
	}
	c := &call{ex: ex, settings: p.backend, pool: p, session: s, informed: make(chan informational, maxInformational)}
	if streams || len(whole) > 0 {
		c.content = newContent(ex, whole, streams)
	}
	if err := c.send(ctx, limit); err != nil {
		return c.giveUp(err, carried)
	}
	if c.content != nil {
		c.content.detach()
	}
	c.backend = b
	ex.OnDone(c.finish)
	return nil
}

// leftWaiting is the fault of an exchange whose client left.
func leftWaiting(ctx context.Context) error {
	return proxy.Fault{Kind: proxy.ClientGone, Cause: fmt.Errorf("the client left while the backend worked: %w", context.Cause(ctx))}
}

// outcome is what sending a request came to.
type outcome struct {
	response *http.Response
	err      error
}

// send sends the request and waits for the answer's head.
func (c *call) send(ctx context.Context, limit time.Time) error {
	cancellable, cancel := context.WithCancel(ctx)
	c.cancel = cancel
	request := c.request(httptrace.WithClientTrace(cancellable, &httptrace.ClientTrace{Got1xxResponse: c.inform}))
	came := make(chan outcome, 1)
	go func() {
		response, err := c.session.conn.RoundTrip(request)
		came <- outcome{response, err}
	}()
	err := c.await(ctx, came, limit)
	if err == nil {
		return c.head()
	}
	return err
}

// await waits for the answer's head until limit, unless the client leaves.
func (c *call) await(ctx context.Context, came chan outcome, limit time.Time) error {
	timer := time.NewTimer(min(waitSlice, time.Until(limit)))
	defer timer.Stop()
	for {
		var err error
		select {
		case o := <-came:
			if o.err != nil && ctx.Err() != nil {
				return leftWaiting(ctx)
			}
			if o.err != nil {
				return o.err
			}
			c.response = o.response
			return c.passInformed()
		case i := <-c.informed:
			err = c.passOn(i)
		case <-ctx.Done():
			err = leftWaiting(ctx)
		case now := <-timer.C:
			limit, err = c.waited(now, limit)
			timer.Reset(min(waitSlice, max(0, limit.Sub(now))))
		}
		if err != nil {
			c.cancel()
			if o := <-came; o.err == nil {
				c.response = o.response
			}
			return err
		}
	}
}

// waited judges the wait for the answer's head at now and returns its limit.
func (c *call) waited(now, limit time.Time) (time.Time, error) {
	if c.content != nil && c.content.moves() {
		if stalled := c.content.stalled(now); stalled > c.settings.idle {
			return limit, fmt.Errorf("the backend took no content for %s: %w", stalled.Truncate(time.Millisecond), os.ErrDeadlineExceeded)
		}
		// The time for an answer counts from the end of the request, for which
		// the client has limits of its own.
		limit = now.Add(c.ex.Out.Timeout)
	}
	if !now.Before(limit) {
		c.pool.suspect(c.session)
		return limit, fmt.Errorf("no answer within %s: %w", c.ex.Out.Timeout, os.ErrDeadlineExceeded)
	}
	if c.ex.ClientGone() {
		return limit, proxy.Fault{Kind: proxy.ClientGone, Cause: errors.New("the client left while the backend worked")}
	}
	return limit, nil
}

// inform is called on the goroutine that reads the connection, which must not
// wait for anybody's client.
func (c *call) inform(status int, header textproto.MIMEHeader) error {
	switch status {
	case 100: // RFC 9110, 15.2: the client asked us, not the backend
		return nil
	case 101: // RFC 9113, 8.6
		return errors.New("101 (Switching Protocols) over HTTP/2")
	}
	select {
	case c.informed <- informational{status, appendHeader(nil, http.Header(header))}:
		return nil
	default:
		return fmt.Errorf("more than %d informational answers", maxInformational)
	}
}

func (c *call) passOn(i informational) error {
	if err := c.ex.Inform(i.status, i.fields); err != nil {
		return proxy.Fault{Kind: proxy.ClientGone, Cause: err}
	}
	return nil
}

// passInformed passes on what came right before the answer.
func (c *call) passInformed() error {
	for {
		select {
		case i := <-c.informed:
			if err := c.passOn(i); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// head turns the answer's head into ex.Back.
func (c *call) head() error {
	r, back := c.response, &c.ex.Back
	back.Status = r.StatusCode
	back.Fields = appendHeader(back.Fields[:0], r.Header)
	back.Body, back.Content, back.Length, back.Tunnel = nil, nil, 0, nil
	switch {
	case r.StatusCode < 200 || r.StatusCode > 599:
		return malformed(fmt.Errorf("status %d", r.StatusCode))
	case len(back.Fields) > maxFields:
		return malformed(fmt.Errorf("more than %d header lines", maxFields))
	case c.ex.Out.Method == "HEAD" || r.StatusCode == 204 || r.StatusCode == 304:
		back.Length = max(0, r.ContentLength)
		return nil
	}
	c.patience = c.settings.patience(&c.ex.Out)
	c.mu.Lock()
	c.watch = time.AfterFunc(c.slice(), c.tick)
	c.mu.Unlock()
	if r.ContentLength == 0 {
		// Nothing but the end can follow, and with trailers it makes a difference.
		var none [1]byte
		if n, err := c.Read(none[:]); err != io.EOF || n > 0 {
			return fmt.Errorf("content of an answer that has none: %w", endOf(err))
		}
		if len(r.Trailer) == 0 {
			return nil
		}
	}
	back.Body, back.Length = c, r.ContentLength
	return nil
}

// Read implements proxy.Body for the answer's content.
func (c *call) Read(p []byte) (int, error) {
	if c.ended {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	began := time.Now()
	c.waiting.Store(began.UnixNano())
	n, err := c.response.Body.Read(p)
	c.waiting.Store(0)
	c.spent.Add(int64(time.Since(began)))
	switch err {
	case nil:
		return n, nil
	case io.EOF:
		c.ended = true
		return n, io.EOF
	}
	err = c.why(err)
	c.cut = c.cut || blames(err)
	return n, err
}

// Trailers implements proxy.Body.
func (c *call) Trailers() http1.Fields {
	if !c.ended || len(c.response.Trailer) == 0 {
		return nil
	}
	return appendHeader(nil, c.response.Trailer)
}

// why returns what a broken stream really broke of.
func (c *call) why(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	return endOf(err)
}

// slice is how long an answer that streams is left alone.
func (c *call) slice() time.Duration { return min(waitSlice, c.settings.idle, c.patience) }

// tick looks after an answer that streams: content that is waited for too long,
// a client that has left. It runs on a goroutine of its own.
func (c *call) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.cause != nil {
		return
	}
	next := c.slice()
	rest := c.patience - time.Duration(c.spent.Load()) // first: a wait that ends now counts once at most
	if since := c.waiting.Load(); since != 0 {
		now := time.Now()
		rest -= now.Sub(time.Unix(0, since))
		// While the client sends, an answer may take its time.
		if c.content != nil {
			since = max(since, c.content.moved.Load())
		}
		left := c.settings.idle - now.Sub(time.Unix(0, since))
		switch {
		case rest <= 0:
			c.cause = long(c.patience)
		case left <= 0:
			c.cause = silent(c.settings.idle)
			c.pool.suspect(c.session)
		case c.ex.ClientGone():
			c.cause = proxy.Fault{Kind: proxy.ClientGone, Cause: errors.New("the client left while the backend worked")}
		}
		if c.cause != nil {
			c.cancel()
			return
		}
		next = min(next, left, rest)
	}
	c.watch.Reset(next)
}

// close ends the stream, whatever its state, and c's part in the exchange. It
// returns why the request's content failed, if it did.
func (c *call) close() (failed error) {
	c.mu.Lock()
	c.over = true
	if c.watch != nil {
		c.watch.Stop()
	}
	c.mu.Unlock()
	complete := true
	if c.content != nil {
		complete, failed = c.content.stop()
	}
	if c.ended && complete {
		_ = c.response.Body.Close() // waits for the stream's place to be free again
	}
	c.cancel() // resets the stream unless both sides have ended it
	if c.response != nil && !c.ended {
		_ = c.response.Body.Close() // gives back what is unread of the window
	}
	return failed
}

// finish is the end of an exchange that got an answer.
func (c *call) finish() {
	_ = c.close() // the reply is under way or gone: nobody could be told
	c.pool.leave(c.session, false)
	if c.backend == nil {
		return
	}
	if c.cut {
		c.backend.blame(c.pool.target)
	}
	c.backend.leave(c.pool.target)
}

// giveUp ends a try that got no answer and returns what its failure means.
func (c *call) giveUp(err error, carried bool) error {
	failed := c.close()
	meaning := c.meaning(err, carried)
	var refused refusedError
	var stale staleError
	c.pool.leave(c.session, errors.As(meaning, &refused) && ended(refused.error) || errors.As(meaning, &stale))
	if failed != nil && !errors.As(err, new(proxy.Fault)) {
		return failed
	}
	return meaning
}

// meaning says whether err allows another try.
func (c *call) meaning(err error, carried bool) error {
	var f proxy.Fault
	var reset http2.StreamError
	switch {
	case errors.As(err, &f) || errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case c.content != nil && c.content.used():
		return err // what was read of the client's content can't be read again
	case ended(err), errors.As(err, &reset) && reset.Code == http2.ErrCodeRefusedStream:
		return refusedError{err}
	case errors.As(err, &reset):
		if reset.Cause != nil && reset.Cause.Error() != sayFromPeer {
			return malformed(err) // it was us who reset the stream
		}
		return err
	case carried && !strings.Contains(err.Error(), sayRequest):
		return staleError{err}
	}
	return err
}
