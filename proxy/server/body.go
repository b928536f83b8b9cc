package server

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// requestBody is the content of a connection's current request. One goroutine
// reads it at a time; Abort and finished may be called by another.
type requestBody struct {
	conn *conn

	// Set by begin.
	limit    int64 // bytes; set before the first Read
	left     int64 // content still to come when its length is known
	chunked  bool
	decoder  http1.Chunked
	expected bool // the client waits for 100 (Continue)
	since    time.Time

	received atomic.Int64
	ended    atomic.Bool
	aborted  atomic.Bool
}

// none says that there is no content. After a request without any, nothing has to be
// stored: three exchanges of memory are a hundredth of a fixed answer.
func (b *requestBody) none() {
	if b.received.Load() != 0 || !b.ended.Load() || b.aborted.Load() {
		b.received.Store(0)
		b.ended.Store(true)
		b.aborted.Store(false)
	}
	b.expected, b.chunked, b.left = false, false, 0
}

func (b *requestBody) begin(r *http1.Request) {
	b.received.Store(0)
	b.ended.Store(false)
	b.aborted.Store(false)
	b.expected = r.ExpectContinue
	b.left, b.chunked = r.Length, r.Chunked
	b.limit = math.MaxInt64
	b.since = time.Time{}
	if b.chunked {
		b.decoder.Reset(&b.conn.settings.head)
	}
	// Who sends much often sends much again: with room for it, one read gets all.
	switch {
	case b.left > wire.Large-wire.Small:
		b.conn.wire.SetSize(wire.Medium)
	case b.left > wire.Small/2:
		b.conn.wire.SetSize(wire.Large)
	}
}

// finished reports whether nothing of the content is left on the connection.
func (b *requestBody) finished() bool { return b.ended.Load() }

// Abort makes a Read in progress and all later ones fail.
func (b *requestBody) Abort() {
	if b.ended.Load() {
		return
	}
	b.aborted.Store(true)
	b.conn.wire.Abort()
}

// Read implements proxy.Body. Past the limit it fails with the fault
// RequestTooLarge, below the minimum rate or when the client pauses for too
// long with RequestTimeout, and with ClientGone when the client leaves.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.ended.Load() {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.aborted.Load() {
		return 0, proxy.Fault{Kind: proxy.ClientGone, Cause: errors.New("the exchange ended before its request")}
	}
	if b.expected {
		if err := b.Continue(); err != nil {
			return 0, err
		}
	}
	n, err := b.readSome(p)
	return b.count(n, err)
}

// Continue has the client send its content, if it waits for 100 (Continue).
// RFC 9110, 10.1.1. The first Read does so too; but whoever lets another
// goroutine read calls it before, or the 100 could get into the reply.
func (b *requestBody) Continue() error {
	if !b.expected {
		return nil
	}
	b.expected = false
	if err := b.conn.Inform(100, nil); err != nil {
		return proxy.Fault{Kind: proxy.ClientGone, Cause: err}
	}
	return nil
}

// TryRead is Read that gives what is here already: (0, nil) means that it would
// have to wait.
func (b *requestBody) TryRead(p []byte) (int, error) {
	buffered := b.conn.wire.Buffered()
	if b.ended.Load() || b.aborted.Load() || b.expected || len(p) == 0 || len(buffered) == 0 {
		return 0, nil
	}
	if !b.chunked {
		return b.Read(p)
	}
	nd, ns, err := b.decoder.Decode(p, buffered)
	b.conn.wire.Discard(ns)
	if err != nil && err != io.EOF {
		err = badChunks(err)
	}
	return b.count(nd, err)
}

// Arrived implements upstream.Arrived: the content in the read buffer, which
// stays as it is until the exchange ends.
func (b *requestBody) Arrived() []byte {
	w := b.conn.wire
	if b.chunked || b.ended.Load() || b.aborted.Load() || b.received.Load() > 0 || int64(len(w.Buffered())) < b.left || b.left > b.limit {
		return nil
	}
	content := w.Buffered()[:b.left]
	w.Discard(len(content))
	b.left, b.expected = 0, false
	b.received.Store(int64(len(content)))
	b.ended.Store(true)
	return content
}

// count notes that n bytes of content were read, with err, and judges the limit.
func (b *requestBody) count(n int, err error) (int, error) {
	total := b.received.Add(int64(n))
	if err == io.EOF {
		b.ended.Store(true)
	}
	if total > b.limit {
		return n, proxy.Fault{Kind: proxy.RequestTooLarge, Cause: fmt.Errorf("more than %d bytes of content", b.limit)}
	}
	return n, err
}

// badChunks is the fault for chunked content that isn't well-formed.
func badChunks(err error) error {
	return proxy.Fault{Kind: proxy.BadRequest, Message: err.Error(), Cause: err}
}

func (b *requestBody) readSome(p []byte) (int, error) {
	if b.chunked {
		return b.readChunks(p)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	w := b.conn.wire
	if len(w.Buffered()) == 0 {
		if err := b.arm(); err != nil {
			return 0, err
		}
	}
	n, err := w.Read(p)
	b.left -= int64(n)
	if b.left == 0 {
		return n, io.EOF
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.fault(err)
}

func (b *requestBody) readChunks(p []byte) (int, error) {
	w := b.conn.wire
	for {
		if buffered := w.Buffered(); len(buffered) > 0 {
			nd, ns, err := b.decoder.Decode(p, buffered)
			w.Discard(ns)
			if err == io.EOF {
				return nd, io.EOF
			}
			if err != nil {
				return nd, badChunks(err)
			}
			if nd > 0 {
				return nd, nil
			}
		}
		if err := b.arm(); err != nil {
			return 0, err
		}
		if err := w.Fill(chunkBuffer); err != nil {
			return 0, b.fault(err)
		}
	}
}

// chunkBuffer bounds the buffer for chunks; the decoder never needs it whole.
const chunkBuffer = wire.Large

// rateAfter is when the minimum rate of a request's content begins to count.
const rateAfter = 10 * time.Second

// arm sets the deadline for the next bytes and judges the rate so far.
func (b *requestBody) arm() error {
	now := time.Now()
	if b.since.IsZero() {
		b.since = now
	}
	if err := slow(b.received.Load(), int64(b.conn.settings.MinBodyRate), now.Sub(b.since)); err != nil {
		return err
	}
	err := b.conn.wire.SetReadTimeout(now, time.Duration(b.conn.settings.BodyTimeout))
	if err == nil && b.aborted.Load() { // Abort came between: its deadline counts
		b.conn.wire.Abort()
	}
	return err
}

// slow returns a fault when received bytes in a time of took are less than rate
// bytes a second; 0 is no rate.
func slow(received, rate int64, took time.Duration) error {
	if rate == 0 || took <= rateAfter || received >= rate*int64(took/time.Second) {
		return nil
	}
	return proxy.Fault{Kind: proxy.RequestTimeout, Cause: fmt.Errorf("%d bytes of content in %s, minimum rate %d bytes/s", received, took, rate)}
}

// fault returns what a failed read of the client means.
func (b *requestBody) fault(err error) error {
	if wire.TimedOut(err) && !b.aborted.Load() {
		return proxy.Fault{Kind: proxy.RequestTimeout, Cause: fmt.Errorf("no content for %s", time.Duration(b.conn.settings.BodyTimeout))}
	}
	return proxy.Fault{Kind: proxy.ClientGone, Cause: fmt.Errorf("the client broke off its request: %w", err)}
}

// Buffered returns how many bytes of content are here already.
func (b *requestBody) Buffered() int { return len(b.conn.wire.Buffered()) }

// Trailers implements proxy.Body.
func (b *requestBody) Trailers() http1.Fields {
	if !b.chunked {
		return nil
	}
	return passingTrailers(nil, b.decoder.Trailers(), b.conn.ex.In.Fields)
}

// passingTrailers appends to dst those of a request's trailer fields that may go
// on: what a client can't say in the header, with the given fields, it can't say
// in a trailer either, since a backend may merge the two. RFC 9110, 6.5.1.
func passingTrailers(dst, trailers, header http1.Fields) http1.Fields {
	passing := proxy.PassingOf(header)
	for i := range trailers {
		if f := &trailers[i]; !http1.ForbiddenTrailer(f) && !passing.FromClient(f) && !ownTrailer.Has(f.Known()) {
			dst = append(dst, *f)
		}
	}
	return dst
}

// ownTrailer has what ends at the gateway besides: its own fields, and the one that
// has done its work in the header.
const ownTrailer = http1.Set(1<<http1.XAmznRequestID | 1<<http1.XAmzApigwID | 1<<http1.XHTTPMethodOverride)

// skipBytes is how much content that nobody read is thrown away to keep the
// connection.
const skipBytes = wire.Large

// skip throws the rest of the content away if that is quick; it reports whether
// the connection can be kept.
func (b *requestBody) skip() bool {
	if b.expected || b.aborted.Load() || b.chunked || b.left > int64(len(b.conn.wire.Buffered())) || b.left > skipBytes {
		return false
	}
	b.conn.wire.Discard(int(b.left))
	b.left = 0
	b.ended.Store(true)
	return true
}
