package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// replyWriter writes a connection's replies.
type replyWriter struct {
	conn *conn
	buf  []byte // while a reply is written
	lent bool   // buf is of the server's buffers

	waited bool // time went by since conn.now: read the clock before the next write
	pace   pace
}

// buffered is implemented by bodies that know how much of them is here already.
type buffered interface{ Buffered() int }

// inform writes an informational answer.
func (w *replyWriter) inform(status int, fields http1.Fields) error {
	b := http1.AppendStatusLine(nil, status)
	b = appendFields(b, fields)
	w.waited = true // it can be long since the request came
	return w.flush(append(b, "\r\n"...))
}

// write sends ex.Reply. The error means that the connection is of no more use.
func (w *replyWriter) write() error {
	c := w.conn
	reply := &c.ex.Reply
	w.waited, w.pace = false, pace{}
	w.takeRoom(w.room(reply))
	defer w.giveRoom()
	chunked := w.chunks(reply)
	b := w.appendHead(w.buf[:0], reply, chunked)
	if c.request.Method == "HEAD" || bodiless(reply.Status) {
		return w.flush(b)
	}
	if reply.Body == nil {
		return w.content(b, reply.Content)
	}
	if chunked {
		return w.stream(b, reply.Body, chunkRoom)
	}
	return w.stream(b, reply.Body, 0)
}

// spareRoom is how much room in bytes is enough for a reply that is worth a small
// buffer: its content and a head of 1 KiB.
const spareRoom = wire.Small/2 + 1<<10

// takeRoom sets buf to memory for a reply. Where nothing more of the request can come,
// what its head left free of the read buffer will mostly do.
func (w *replyWriter) takeRoom(size int) {
	c := w.conn
	w.buf, w.lent = nil, false
	if size == wire.Small && c.body.finished() {
		w.buf = c.wire.Spare(spareRoom)
	}
	if w.buf == nil {
		w.buf, w.lent = c.server.buffers.Take(size), true
	}
}

func (w *replyWriter) giveRoom() {
	if w.lent {
		w.conn.server.buffers.Give(w.buf)
	}
	w.buf = nil
}

// room returns how large a buffer the reply is worth.
func (w *replyWriter) room(reply *proxy.Response) int {
	switch {
	case reply.Body == nil && len(reply.Content) < wire.Small/2, reply.Body != nil && reply.Length >= 0 && reply.Length < wire.Small/2:
		return wire.Small
	case reply.Body != nil && reply.Length > wire.Medium/2:
		return wire.Large
	}
	return wire.Medium
}

// chunks reports whether the reply goes out in chunks; a client of HTTP/1.0
// gets content of unknown length until the connection ends.
func (w *replyWriter) chunks(reply *proxy.Response) bool {
	if reply.Body == nil || reply.Length != http1.Unknown {
		return false
	}
	if w.conn.request.Minor == 0 {
		w.conn.closing = true
		return false
	}
	return true
}

// bodiless reports whether an answer with status never has content. RFC 9110, 6.4.1.
func bodiless(status int) bool { return status == 204 || status == 304 || status < 200 }

// framed reports whether the field is written by the server only.
func framed(k http1.Known) bool {
	const set = http1.Set(1<<http1.ContentLength | 1<<http1.TransferEncoding | 1<<http1.Connection | 1<<http1.KeepAlive |
		1<<http1.Upgrade | 1<<http1.ProxyConnection | 1<<http1.Trailer | 1<<http1.TE | 1<<http1.Date)
	return set.Has(k)
}

// appendFields appends those of fields that aren't the server's to write.
func appendFields(b []byte, fields http1.Fields) []byte {
	for i := range fields {
		if f := &fields[i]; !framed(f.Known()) {
			b = http1.AppendField(b, f.Name, f.Value)
		}
	}
	return b
}

func (w *replyWriter) appendHead(b []byte, reply *proxy.Response, chunked bool) []byte {
	c := w.conn
	b = http1.AppendStatusLine(b, reply.Status)
	b = append(b, "Date: "...)
	b = append(b, c.server.date.at(c.now)...)
	b = append(b, "\r\n"...)
	b = appendFields(b, reply.Fields)
	switch {
	case chunked && c.request.Method != "HEAD":
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case bodiless(reply.Status):
	case reply.Body == nil && reply.Content == nil && c.request.Method == "HEAD":
		if reply.Length > 0 { // what a GET would get
			b = http1.AppendLength(b, reply.Length)
		}
	case reply.Body == nil:
		b = http1.AppendLength(b, int64(len(reply.Content)))
	case reply.Length >= 0:
		b = http1.AppendLength(b, reply.Length)
	}
	if c.closing {
		b = append(b, "Connection: close\r\n"...)
	} else if c.request.Minor == 0 {
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

// content writes the head with content that is all there, in one piece if short.
func (w *replyWriter) content(b, content []byte) error {
	w.conn.ex.Notes.BytesOut = int64(len(content))
	if len(b)+len(content) <= cap(b) {
		return w.flush(append(b, content...))
	}
	if err := w.flush(b); err != nil {
		return err
	}
	for len(content) > wire.Large { // the time limit is for a piece that a slow client can take
		if err := w.flush(content[:wire.Large]); err != nil {
			return err
		}
		content = content[wire.Large:]
	}
	return w.flush(content)
}

// chunkRoom is the room for the line with a chunk's size: four digits, CR, LF.
// The largest buffer needs no more, and leading zeros are allowed: RFC 9112, 7.1.
const chunkRoom = 6

// stream writes what the body gives, as soon as it gives it. b holds the head
// and shares w.buf. room is chunkRoom for chunks, else 0.
func (w *replyWriter) stream(b []byte, body proxy.Body, room int) error {
	peek, _ := body.(buffered)
	if cap(b) < len(w.buf) { // a long head moved
		if err := w.flush(b); err != nil {
			return err
		}
		b = w.buf[:0]
	}
	if w.conn.ex.Reply.Length == http1.Unknown && (peek == nil || peek.Buffered() == 0) {
		// Content may be long in coming (server-sent events), and the client may want
		// to know that it will.
		w.waited = true
		if err := w.flush(b); err != nil {
			return err
		}
		b = w.buf[:0]
	}
	tail := 0
	if room > 0 {
		tail = 2
	}
	for {
		if cap(b)-len(b) < room+tail+leastChunk {
			if err := w.flush(b); err != nil {
				return err
			}
			b = w.buf[:0]
		}
		if peek == nil || peek.Buffered() == 0 {
			w.waited = true // the next read may wait
		}
		at := len(b) + room
		n, err := body.Read(b[at : cap(b)-tail])
		w.conn.ex.Notes.BytesOut += int64(n)
		if n > 0 {
			b = w.frame(b, n, room)
		}
		switch {
		case err == io.EOF:
			return w.flush(w.end(b, body, room))
		case err != nil:
			return w.cut(b, err)
		case peek == nil || peek.Buffered() == 0:
			if err := w.flush(b); err != nil {
				return err
			}
			b = w.buf[:0]
		}
	}
}

// leastChunk is the least room in bytes that is worth reading into.
const leastChunk = 1 << 10

// frame extends b over the n bytes that were read behind it, as a chunk if room
// was left for its size.
func (w *replyWriter) frame(b []byte, n, room int) []byte {
	if room == 0 {
		return b[:len(b)+n]
	}
	at := len(b)
	b = b[:at+room+n]
	for i, shift := 0, 12; i < 4; i, shift = i+1, shift-4 {
		b[at+i] = hexDigits[n>>shift&15]
	}
	b[at+4], b[at+5] = '\r', '\n'
	return append(b, '\r', '\n')
}

// end appends the last chunk and the trailer fields.
func (w *replyWriter) end(b []byte, body proxy.Body, room int) []byte {
	if room == 0 {
		return b
	}
	b = append(b, "0\r\n"...)
	b = appendFields(b, body.Trailers())
	return append(b, "\r\n"...)
}

// cut ends a reply whose content broke off: the connection is cut, so that the
// client can't take it for complete.
func (w *replyWriter) cut(b []byte, cause error) error {
	ex := &w.conn.ex
	ex.Notes.Truncated = true
	if ex.Fault == nil {
		ex.Interrupt(cause)
	}
	_ = w.flush(b) // what did arrive is the client's
	if socket, ok := w.conn.socket.(*net.TCPConn); ok && w.conn.request.Minor == 0 && ex.Reply.Length == http1.Unknown {
		// The connection's end is the content's: only a reset tells the two apart.
		_ = socket.SetLinger(0) // fails on a closed connection only
	}
	return fmt.Errorf("content broke off: %w", cause)
}

// flush writes b to the client.
func (w *replyWriter) flush(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	c := w.conn
	if w.waited {
		c.now = time.Now()
	}
	w.waited = true
	if err := c.wire.SetWriteTimeout(c.now, time.Duration(c.settings.WriteTimeout)); err != nil {
		return w.left(err)
	}
	if _, err := c.wire.Write(b); err != nil {
		return w.left(err)
	}
	if w.pace.sent += int64(len(b)); w.pace.sent > paceFrom {
		if err := w.pace.judge(int64(len(b)), time.Since(c.now), int64(c.settings.MinSendRate)); err != nil {
			return w.left(err)
		}
	}
	return nil
}

// left notes that the client doesn't take the reply.
func (w *replyWriter) left(err error) error {
	ex := &w.conn.ex
	ex.Notes.ClientGone = true
	if wire.TimedOut(err) {
		err = errors.New("the client did not read the reply in time")
	}
	if ex.Fault == nil {
		ex.Interrupt(proxy.Fault{Kind: proxy.ClientGone, Cause: err})
	}
	return err
}
