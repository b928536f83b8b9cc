package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// conn is one connection to a target. It serves one exchange at a time, on that
// exchange's goroutine.
type conn struct {
	// Set at construction.
	target *target
	wire   *wire.Conn
	done   func() // c.finish, made once

	// Owned by target while unused.
	since   time.Time // when it was used last
	counted bool      // among the target's open ones

	owner netip.AddrPort // whom it serves only; zero for everybody

	// Owned by the exchange.
	ex      *proxy.Exchange
	backend *backend
	reused  bool
	placed  bool // the exchange has a place at the target, which ends with it
	cut     bool // the answer broke off
	head    http1.Response
	chunked http1.Chunked
	left    int64 // content still to come when its length is known
	kind    framing
	ended   bool // the whole answer was read
	bare    bool // it has no content, whatever its fields say
	failed  bool // the connection can't be used again
	limit   time.Time
	upload  *upload // nil when nothing streams

	// Of the answer's content: how long it may be waited for in all, 0 before the
	// first wait; since when it is waited for; and how long it was before.
	patience time.Duration
	began    time.Time
	spent    time.Duration
}

// framing is how the content of the answer is delimited.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

func newConn(t *target, w *wire.Conn) *conn {
	w.SetSize(wire.Medium)
	c := &conn{target: t, wire: w}
	c.done = c.finish
	return c
}

func (c *conn) close() {
	_ = c.wire.Close() // nothing is left to lose
	if c.counted {
		c.counted = false
		c.target.lose()
	}
}

// rests reports whether the unused connection can be used. Below TLS, bytes
// may well have come: session tickets are sent when the server likes.
func (c *conn) rests() bool {
	if c.target.tls != nil {
		return !c.wire.Gone()
	}
	return c.wire.Quiet()
}

// waitSlice is how long a wait lasts before the client is looked after.
const waitSlice = 500 * time.Millisecond

// maxInformational is how many 1xx answers one request may get.
const maxInformational = 16

// exchange sends ex.Out and reads the head of the answer into ex.Back. On
// success the connection belongs to ex until ex ends; on failure it is closed.
func (c *conn) exchange(ex *proxy.Exchange, content []byte, streams bool, now, limit time.Time, b *backend) error {
	c.ex, c.backend, c.limit = ex, b, limit
	c.ended, c.bare, c.failed, c.cut, c.placed, c.upload = false, false, false, false, false, nil
	c.patience, c.spent = 0, 0
	sent, err := c.send(content, streams, now)
	switch {
	case err == nil:
		err = c.readHead(now)
	case !sent && c.answerMayWait(err):
		if headErr := c.readHead(now); headErr != nil {
			err = headErr
		} else {
			err, c.failed = nil, true // it answered early and stopped reading
		}
	}
	if err != nil {
		err = c.giveUp(err)
		return err
	}
	ex.OnDone(c.done)
	return nil
}

// answerMayWait reports whether a failed write can have an answer behind it: a
// backend that refuses a request's content answers and closes.
func (c *conn) answerMayWait(err error) bool {
	return !c.reused && !wire.TimedOut(err) && isLost(err)
}

// giveUp closes c after err and returns what the failure really was.
func (c *conn) giveUp(err error) error {
	c.failed = true
	if c.upload != nil {
		if f := c.upload.stop(); f != nil {
			err = f
		}
		c.upload = nil
	}
	c.close()
	c.ex = nil
	return err
}

// send writes the head and content, or starts to stream it. Once all is written,
// it waits for the first bytes of the answer; sent is false for an error before.
func (c *conn) send(content []byte, streams bool, now time.Time) (sent bool, err error) {
	out := &c.ex.Out
	if streams {
		if body, ok := out.Body.(Continuer); ok {
			if err := body.Continue(); err != nil {
				return false, err
			}
		}
	}
	if err := c.wire.SetWriteTimeout(now, c.backend.idle); err != nil {
		return false, c.lost(err)
	}
	if streams {
		buf := c.target.buffers.Take(wire.Medium)
		c.upload = startUpload(c, appendHead(buf[:0], out, 0, true), out.Body, out.Length)
		return false, nil
	}
	// The answer isn't read before the request is sent: one buffer serves both.
	buf := c.wire.Scratch()
	b := appendHead(buf[:0], out, len(content), false)
	if len(b)+len(content) <= wire.Small {
		b, content = append(b, content...), nil
	}
	if err := c.arm(now); err != nil {
		return false, c.lost(err)
	}
	sent, err = c.wire.Ask(b, content, c.most())
	switch {
	case !sent:
		return false, c.lost(err)
	case err == nil:
		return true, nil
	}
	if err = c.waited(err); err != nil {
		return true, c.unanswered(err)
	}
	return true, nil
}

// most is how many bytes the buffer may grow to while a head is read.
func (c *conn) most() int { return c.backend.limits.Head + c.backend.limits.Line + http1.HeadFrame }

// lost marks err as that of a kept connection that the backend had closed.
func (c *conn) lost(err error) error {
	if c.reused && !wire.TimedOut(err) {
		return staleError{err}
	}
	return err
}

// appendHead appends the request head. Framing and connection fields are always
// written by us. RFC 9112, 6; RFC 9110, 7.6.1.
func appendHead(b []byte, out *proxy.Outgoing, content int, streams bool) []byte {
	b = http1.AppendRequestLine(b, out.Method, out.Target)
	b = http1.AppendField(b, "Host", out.Host)
	for i := range out.Fields {
		f := &out.Fields[i]
		if !ours(f.Known()) {
			b = http1.AppendField(b, f.Name, f.Value)
		}
	}
	switch {
	case streams && out.Length == http1.Unknown:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case streams:
		b = http1.AppendLength(b, out.Length)
	case content > 0 || takesContent(out.Method):
		b = http1.AppendLength(b, int64(content))
	}
	if out.Upgrade != "" {
		b = append(b, "Connection: Upgrade\r\n"...)
		b = http1.AppendField(b, "Upgrade", out.Upgrade)
	}
	return append(b, "\r\n"...)
}

// takesContent reports whether a request without content says so. RFC 9110, 8.6.
func takesContent(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// ours reports whether the field is written by this package only.
func ours(k http1.Known) bool {
	const set = http1.Set(1<<http1.Host | 1<<http1.ContentLength | 1<<http1.TransferEncoding | 1<<http1.Connection |
		1<<http1.KeepAlive | 1<<http1.Upgrade | 1<<http1.ProxyConnection | 1<<http1.TE | 1<<http1.Trailer |
		1<<http1.HTTP2Settings | 1<<http1.Expect)
	return set.Has(k)
}

// readHead reads the head of the final answer into ex.Back.
func (c *conn) readHead(now time.Time) error {
	back := &c.ex.Back
	c.head.Fields = back.Fields[:0]
	for informational := 0; ; informational++ {
		if err := c.parseHead(now); err != nil {
			return err
		}
		if c.head.Status >= 200 || c.head.Status == 101 {
			break
		}
		if informational == maxInformational {
			return malformed(fmt.Errorf("more than %d informational answers", maxInformational))
		}
		if c.head.Status != 100 { // RFC 9110, 15.2: the client asked us, not the backend
			if err := c.ex.Inform(c.head.Status, c.head.Fields); err != nil {
				return proxy.Fault{Kind: proxy.ClientGone, Cause: err}
			}
		}
	}
	c.wire.Pin()
	back.Status, back.Fields = c.head.Status, c.head.Fields
	back.Body, back.Content, back.Length, back.Tunnel = nil, nil, 0, nil
	return c.frame(back)
}

// frame sets up the content of the answer.
func (c *conn) frame(back *proxy.Response) error {
	if c.head.Status == 101 {
		if c.ex.Out.Upgrade == "" {
			return malformed(errors.New("101 (Switching Protocols) that nobody asked for"))
		}
		c.ended, c.failed = true, true // it never goes back to the others
		back.Tunnel = &tunnel{wire: c.wire}
		return nil
	}
	c.left = c.head.Length
	switch {
	case c.ex.Out.Method == "HEAD" || c.head.Status == 204 || c.head.Status == 304:
		c.ended, c.bare = true, true
		back.Length = declared(c.head.Fields)
	case c.head.Chunked:
		c.kind = byChunks
		c.chunked.Reset(&c.backend.limits)
		back.Body, back.Length = c, http1.Unknown
	case c.head.Length == http1.Unknown:
		c.kind = byClose
		back.Body, back.Length = c, http1.Unknown
	case c.head.Length == 0:
		c.ended = true
	default:
		c.kind = byLength
		back.Body, back.Length = c, c.head.Length
	}
	return nil
}

// declared returns the content length that an answer without content tells, or 0.
// The codec has checked the field.
func declared(fields http1.Fields) int64 {
	n, err := strconv.ParseInt(fields.GetKnown(http1.ContentLength), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// parseHead reads one head, informational or final.
func (c *conn) parseHead(now time.Time) error {
	begun := false
	for {
		if buffered := c.wire.Buffered(); len(buffered) > 0 {
			begun = true
			n, err := c.head.Parse(buffered, &c.backend.limits, c.ex.Out.Method)
			if err == nil {
				c.wire.Discard(n)
				return nil
			}
			if err != http1.ErrIncomplete {
				return malformed(err)
			}
		}
		if err := c.fill(now); err != nil {
			switch {
			case errors.Is(err, wire.ErrFull):
				return malformed(fmt.Errorf("header longer than %d bytes", c.backend.limits.Head))
			case begun:
				return err
			}
			return c.unanswered(err)
		}
	}
}

// unanswered returns what it means that the wait for an answer ended by err.
func (c *conn) unanswered(err error) error {
	if wire.TimedOut(err) || !isLost(err) {
		return err
	}
	return c.lost(fmt.Errorf("connection ended before an answer: %w", err))
}

// isLost reports whether err is the connection's end and not a decision of ours.
func isLost(err error) bool {
	var f proxy.Fault
	return !errors.As(err, &f)
}

// fill reads more into the buffer, until limit, unless the client leaves. now
// may be a little past: reading the clock is saved where it was read just before.
func (c *conn) fill(now time.Time) error {
	for {
		if err := c.arm(now); err != nil {
			return err
		}
		err := c.wire.Fill(c.most())
		if err == nil {
			return nil
		}
		if err = c.waited(err); err != nil {
			return err
		}
		now = time.Now()
	}
}

// arm makes the next read return after a slice of the time that is left.
func (c *conn) arm(now time.Time) error {
	if left := c.limit.Sub(now); left < waitSlice+waitSlice/10 {
		return c.wire.SetReadDeadline(c.limit)
	}
	return c.wire.SetReadTimeout(now, waitSlice)
}

// waited returns nil when err only was the end of a slice: the read goes on.
func (c *conn) waited(err error) error {
	if !wire.TimedOut(err) {
		return err
	}
	if u := c.upload; u != nil && u.aborted.Load() {
		return err // giveUp finds out why
	}
	now := time.Now()
	if u := c.upload; u != nil && u.running() {
		// The time for an answer counts from the end of the request; the upload
		// has time limits of its own.
		c.limit = c.bounded(now.Add(c.ex.Out.Timeout))
	}
	if !now.Before(c.limit) {
		return err
	}
	if c.ex.ClientGone() {
		return proxy.Fault{Kind: proxy.ClientGone, Cause: errors.New("the client left while the backend worked")}
	}
	return nil
}

// finish gives the connection back when the exchange is done with it.
func (c *conn) finish() {
	if c.upload != nil {
		_ = c.upload.stop() // the reply is under way or gone: nobody could be told
		c.upload = nil
	}
	now := c.ex.Lately() // the reply has just been timed
	c.ex = nil
	b, t, placed, cut := c.backend, c.target, c.placed, c.cut
	// Bytes behind the answer's end would be taken for the next answer. They are
	// likeliest where an answer has no content but a backend sends some.
	if c.failed || !c.ended || !c.head.KeepAlive || len(c.wire.Buffered()) > 0 || c.bare && !c.rests() {
		c.close()
	} else {
		c.wire.Unpin()
		c.wire.Release()
		c.since = now
		t.put(c) // whose it is from now on
	}
	if cut && placed {
		b.blame(t)
	}
	if placed {
		b.leave(t)
	}
}

// malformed is an answer that can't be passed on.
func malformed(err error) error {
	return proxy.Fault{Kind: proxy.BadIntegration, Cause: fmt.Errorf("malformed answer of the backend: %w", err)}
}

// theirs reports whether the backend is to blame for err, which ended the
// answer's content.
func (c *conn) theirs(err error) bool {
	return blames(err) && (c.upload == nil || !c.upload.aborted.Load())
}

// endOf turns the end of the connection into the error of content cut short.
func endOf(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
