package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// content is a request's content on its way to an HTTP/2 stream, which reads it
// on a goroutine of its own and may go on doing so when the exchange has lost
// interest: stop ends that.
type content struct {
	// Set at construction.
	body    proxy.Body // nil: the content is whole
	length  int64      // http1.Unknown when it isn't known
	trailer http.Header

	stopped atomic.Bool  // Read gives nothing any more
	ended   atomic.Bool  // it was read to its end
	reading atomic.Bool  // Read waits for the client
	moved   atomic.Int64 // when Read last returned, Unix nanoseconds

	mu      sync.Mutex // held while Read works; guards what follows
	whole   []byte     // what is left of content that is whole
	touched bool       // something was read from body
	failure error      // body could not be read
}

func newContent(ex *proxy.Exchange, whole []byte, streams bool) *content {
	c := &content{whole: whole, length: int64(len(whole))}
	if streams {
		c.body, c.length = ex.Out.Body, ex.Out.Length
		c.trailer = make(http.Header) // filled at the end; that there may be some is known now
	}
	c.moved.Store(time.Now().UnixNano())
	return c
}

// errStopped is what Read returns when the exchange doesn't need it any more.
var errStopped = errors.New("the exchange has ended")

// Read implements io.Reader.
func (c *content) Read(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.moved.Store(time.Now().UnixNano()) }()
	if c.stopped.Load() {
		return 0, errStopped
	}
	if c.body == nil {
		n = copy(p, c.whole)
		if c.whole = c.whole[n:]; len(c.whole) == 0 {
			c.ended.Store(true)
			return n, io.EOF
		}
		return n, nil
	}
	defer func() {
		if r := recover(); r != nil { // costs this exchange only
			c.failure = proxy.Fault{Kind: proxy.Internal, Cause: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
			n, err = 0, c.failure
		}
	}()
	c.touched = true
	c.reading.Store(true)
	n, err = c.body.Read(p)
	c.reading.Store(false)
	switch {
	case err == io.EOF:
		c.takeTrailers()
		c.ended.Store(true)
	case err != nil && c.stopped.Load():
		err = errStopped // stop made it fail
	case err != nil:
		c.failure = bodyFault(err)
		err = c.failure
	}
	return n, err
}

func (c *content) takeTrailers() {
	for _, f := range c.body.Trailers() {
		if !ours(f.Known()) {
			copies := newCopier(len(f.Name) + len(f.Value))
			name := copies.lower(f.Name)
			c.trailer[name] = append(c.trailer[name], copies.text(f.Value))
		}
	}
}

// Close implements io.Closer: the stream takes no more of it.
//
// The HTTP/2 client also calls it when an answer above 299 comes before the
// content's end; it then neither sends the rest nor ends the request.
func (c *content) Close() error {
	c.stopped.Store(true)
	return nil
}

// moves reports whether the stream still wants some of it.
func (c *content) moves() bool { return !c.ended.Load() && !c.stopped.Load() }

// stalled returns for how long the backend hasn't taken any of it.
func (c *content) stalled(now time.Time) time.Duration {
	if c.reading.Load() {
		return 0 // it is the client that is waited for
	}
	return now.Sub(time.Unix(0, c.moved.Load()))
}

// used reports whether it can't be sent once more from its beginning. It is
// called after stop.
func (c *content) used() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.touched
}

// detach makes c independent of the memory of content that is whole, which its
// owner wants back. An answer that comes before all was sent is rare.
func (c *content) detach() {
	if c.body != nil {
		return // and Read may hold the lock for long
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.whole) > 0 {
		c.whole = append([]byte(nil), c.whole...)
	}
}

// stop makes a Read in progress and later ones fail, and waits until none uses
// the exchange's body. It reports whether everything was sent, and why the
// body could not be read, if that is the reason.
func (c *content) stop() (complete bool, failure error) {
	c.stopped.Store(true)
	if !c.mu.TryLock() {
		if a, ok := c.body.(Aborter); ok {
			a.Abort()
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	c.whole = nil
	return c.ended.Load(), c.failure
}
