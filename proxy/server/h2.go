package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// h2Server is golang.org/x/net's HTTP/2 server under one listener's settings.
// It is wired by hand: Go's bundled one is older than its known holes' mending.
type h2Server struct {
	server *http2.Server
	base   *http.Server // carries limits and the signal to end
	pool   sync.Pool    // of *stream
}

// maxReadFrame is the largest frame that is accepted, in bytes: the least that
// RFC 9113, 4.2 lets us announce.
const maxReadFrame = 16384

// How much of its requests' content a client may have under way, in bytes: on
// one stream, and on all of a connection. Sixteen streams that nobody reads, as
// with a slow backend, don't hold up the others.
const (
	streamUpload = 256 << 10
	connUpload   = 4 << 20
)

func newH2(limits *config.Limits) (*h2Server, error) {
	h := &h2Server{
		server: &http2.Server{
			MaxConcurrentStreams: uint32(limits.Streams),
			MaxReadFrameSize:     maxReadFrame,

			MaxUploadBufferPerStream:     streamUpload,
			MaxUploadBufferPerConnection: connUpload,

			IdleTimeout:      time.Duration(limits.IdleTimeout),
			ReadIdleTimeout:  time.Duration(limits.IdleTimeout),
			WriteByteTimeout: time.Duration(limits.WriteTimeout),
		},
		base: &http.Server{
			MaxHeaderBytes: int(limits.Header),
			ErrorLog:       log.New(io.Discard, "", 0), // connection errors of clients; access records tell
		},
	}
	if err := http2.ConfigureServer(h.base, h.server); err != nil {
		return nil, fmt.Errorf("set up HTTP/2: %w", err)
	}
	return h, nil
}

// h2Conn is one HTTP/2 client connection.
type h2Conn struct {
	listener *listener
	settings *settings
	h2       *h2Server
	socket   net.Conn // without TLS
	ends     ends
	state    *sessionTLS
	life     lifetime
	shard    uint8
}

// hurry implements closer: GOAWAY, then no new streams. RFC 9113, 6.8.
func (c *h2Conn) hurry(time.Duration) {
	go func() { _ = c.h2.base.Shutdown(context.Background()) }() // it has no listeners to fail on
}

// ending reports whether no more requests are wanted.
func (c *h2Conn) ending() bool { return c.listener.server.draining.Load() || c.listener.stopped.Load() }

// of implements closer.
func (c *h2Conn) of() *listener { return c.listener }

// kill implements closer.
func (c *h2Conn) kill() { _ = c.socket.Close() }

func (l *listener) serveHTTP2(g *greeted) {
	c := &h2Conn{listener: l, settings: l.settings.Load(), h2: g.h2, socket: g.socket, ends: g.ends, state: g.state, shard: l.server.nextShard()}
	c.life.begin(time.Now(), l.server.entropy())
	if !l.server.enter(c) {
		return
	}
	defer l.server.leave(c)
	// x/net's server tells when it has begun and can be told to end.
	base := &http.Server{MaxHeaderBytes: g.h2.base.MaxHeaderBytes, ErrorLog: g.h2.base.ErrorLog, ConnState: func(net.Conn, http.ConnState) {
		if c.ending() {
			c.hurry(0)
		}
	}}
	g.h2.server.ServeConn(g.whole(), &http2.ServeConnOpts{
		Context: context.Background(), BaseConfig: base, Handler: http.HandlerFunc(c.serve),
	})
}

// stallFrom is how many bytes x/net's server may not buffer but wait to send.
const stallFrom = 4 << 10

// stream is one HTTP/2 request. It is used again for later ones.
type stream struct {
	conn    *h2Conn
	ex      proxy.Exchange
	body    streamBody
	stall   stall
	names   []string
	writer  http.ResponseWriter
	request *http.Request
}

// Inform implements proxy.Client.
func (s *stream) Inform(status int, fields http1.Fields) error {
	header := s.writer.Header()
	addFields(header, fields)
	s.writer.WriteHeader(status)
	clear(header) // they were this answer's only
	return nil
}

// Gone implements proxy.Client.
func (s *stream) Gone() bool { return s.request.Context().Err() != nil }

// serve answers one request.
func (c *h2Conn) serve(w http.ResponseWriter, r *http.Request) {
	s, _ := c.h2.pool.Get().(*stream)
	if s == nil {
		s = new(stream)
	}
	s.conn, s.writer, s.request = c, w, r
	complete := s.answer()
	s.conn, s.writer, s.request = nil, nil, nil
	s.body.source, s.body.control = nil, nil
	c.h2.pool.Put(s)
	if !complete {
		panic(http.ErrAbortHandler) // RST_STREAM: the client can't take it for complete
	}
}

// answer takes the request through the pipeline and reports whether the reply
// went out whole.
func (s *stream) answer() (complete bool) {
	ex, server := &s.ex, s.conn.listener.server
	crowd := &s.conn.listener.crowd
	flying := crowd.flying.Add(1)
	snap := server.snapshot()
	defer func() {
		if snap != nil {
			snap.Release()
		}
		crowd.flying.Add(-1)
		if r := recover(); r != nil { // a mistake outside of the pipeline's own boundary
			server.panicked(r)
			ex.End()
			complete = false
		}
	}()
	start := time.Now()
	ex.Begin(start, s)
	ex.Shard = s.conn.shard
	identify(server, ex)
	refused, ok := s.fill()
	s.bound(start)
	if ok {
		s.conn.listener.dispatch(s.request.Context(), s.conn.settings, snap, ex, flying, &s.body.limit)
	} else {
		ex.Refuse(refused)
	}
	complete = s.write()
	ex.Notes.BytesIn = s.body.received.Load()
	ex.Times.Total = time.Since(start)
	server.recorderOf(ex).Record(ex)
	ex.End()
	return complete
}

// fill makes ex.In from the request, through the same parsers as HTTP/1.1.
func (s *stream) fill() (refused proxy.Fault, ok bool) {
	in, r, c := &s.ex.In, s.request, s.conn
	in.Method, in.Proto, in.Scheme, in.TLS = r.Method, "HTTP/2.0", "http", c.state
	if c.state != nil {
		in.Scheme = "https"
	}
	in.Client, in.Local = c.ends.client, c.ends.local
	s.names = s.names[:0]
	for name := range r.Header {
		s.names = append(s.names, name)
	}
	sort.Strings(s.names)                        // a map has no order; the same request gives the same Exchange
	wellFormed := http1.ValidFieldName(r.Method) // a token: RFC 9110, 9.1
	for _, name := range s.names {
		for _, value := range r.Header[name] {
			// RFC 9113, 8.2.1: no white space at either end. HTTP/1.1 would trim it, so
			// an authorizer and a backend would see two different values.
			wellFormed = wellFormed && http1.ValidFieldValue(value)
			in.Fields = append(in.Fields, http1.NewField(name, value))
		}
	}
	s.body.received.Store(0)
	s.body.until, s.body.since = time.Time{}, time.Time{}
	s.body.answered.Store(false)
	if in.Length = r.ContentLength; in.Length != 0 {
		s.body.source, s.body.request, s.body.header = r.Body, r, in.Fields
		s.body.control = http.NewResponseController(s.writer)
		s.body.timeout, s.body.rate = time.Duration(c.settings.BodyTimeout), int64(c.settings.MinBodyRate)
		in.Body = &s.body
	}
	if !wellFormed {
		return proxy.Fault{Kind: proxy.BadRequest, Cause: errors.New("malformed method or field value")}, false
	}
	if len(r.RequestURI) > int(c.settings.Line) {
		return proxy.Fault{Kind: proxy.URITooLong, Cause: fmt.Errorf("target of %d bytes", len(r.RequestURI))}, false
	}
	if len(in.Fields) > c.settings.Headers {
		return proxy.Fault{Kind: proxy.HeadTooLarge, Cause: fmt.Errorf("%d header fields", len(in.Fields))}, false
	}
	if host := in.Fields.GetKnown(http1.Host); host != "" && host != r.Host {
		return proxy.Fault{Kind: proxy.BadRequest, Cause: fmt.Errorf(":authority %q and Host %q disagree", r.Host, host)}, false
	}
	// The authority is a field for everything downstream, as in HTTP/1.1.
	if !in.Fields.HasKnown(http1.Host) && r.Host != "" {
		in.Fields = append(in.Fields, http1.NewField("Host", r.Host))
	}
	takeClientID(&s.ex)
	if refused, ok = fillTarget(in, r.RequestURI, r.Host); ok && c.settings.trust != nil {
		return c.settings.trust.believe(&s.ex)
	}
	return refused, ok
}

// write sends the reply; false means that it broke off.
func (s *stream) write() bool {
	ex := &s.ex
	reply := &ex.Reply
	if ex.Fault != nil && ex.Fault.Kind == proxy.ClientGone {
		ex.Notes.ClientGone = true
		return false
	}
	header := s.writer.Header()
	addFields(header, reply.Fields)
	if s.last() {
		header.Set("Connection", "close") // x/net's server makes it GOAWAY
	}
	switch {
	case bodiless(reply.Status):
	case reply.Body == nil && reply.Content == nil && s.request.Method == "HEAD":
		if reply.Length > 0 {
			header.Set("Content-Length", strconv.FormatInt(reply.Length, 10))
		}
	case reply.Body == nil:
		header.Set("Content-Length", strconv.Itoa(len(reply.Content)))
	case reply.Length >= 0:
		header.Set("Content-Length", strconv.FormatInt(reply.Length, 10))
	}
	s.writer.WriteHeader(reply.Status)
	if s.request.Method == "HEAD" || bodiless(reply.Status) {
		return true
	}
	if reply.Body == nil {
		return s.content(reply.Content)
	}
	if ex.In.Body != nil {
		s.body.answer()
	}
	return s.stream(reply.Body)
}

// content writes content piece by piece, each of which has its time.
func (s *stream) content(content []byte) bool {
	for {
		piece := content[:min(len(content), wire.Large)]
		if err := s.put(piece, false); err != nil {
			return false
		}
		if content = content[len(piece):]; len(content) == 0 {
			return true
		}
	}
}

// put writes p, and makes it go out if flush is set. The error means that the
// client doesn't take it.
func (s *stream) put(p []byte, flush bool) error {
	if len(p) >= stallFrom || flush { // what is shorter stays in x/net's buffer
		s.stall.begin(s.writer, time.Duration(s.conn.settings.WriteTimeout))
		defer s.stall.end()
	}
	n, err := s.writer.Write(p)
	s.ex.Notes.BytesOut += int64(n)
	if err == nil && flush {
		err = http.NewResponseController(s.writer).Flush()
	}
	if err != nil {
		s.ex.Notes.ClientGone = true
		s.ex.Interrupt(proxy.Fault{Kind: proxy.ClientGone, Cause: err})
	}
	return err
}

func (s *stream) stream(body proxy.Body) bool {
	ex, buffers := &s.ex, &s.conn.listener.server.buffers
	peek, _ := body.(buffered)
	buf := buffers.Take(wire.Medium)
	defer buffers.Give(buf)
	// A client may need the head before it goes on: gRPC, server-sent events.
	if ex.Reply.Length == http1.Unknown && (peek == nil || peek.Buffered() == 0) && s.put(nil, true) != nil {
		return false
	}
	for {
		n, err := body.Read(buf)
		waits := err == nil && (peek == nil || peek.Buffered() == 0)
		if n > 0 || waits {
			if s.put(buf[:n], waits) != nil {
				return false
			}
		}
		switch {
		case err == io.EOF:
			for _, f := range body.Trailers() {
				s.writer.Header().Add(http.TrailerPrefix+f.Name, strings.Clone(f.Value))
			}
			return true
		case err != nil:
			ex.Notes.Truncated = true
			ex.Interrupt(err)
			return false
		}
	}
}

// streamBody is the content of an HTTP/2 request.
type streamBody struct {
	source  io.ReadCloser
	request *http.Request
	header  http1.Fields // the exchange's
	control *http.ResponseController
	limit   int64
	timeout time.Duration
	rate    int64     // least bytes a second
	since   time.Time // of the first Read
	until   time.Time // the deadline that is set

	answered atomic.Bool // the reply has begun
	received atomic.Int64
}

// Read implements proxy.Body, with the faults of requestBody.Read.
func (b *streamBody) Read(p []byte) (int, error) {
	now := time.Now()
	if b.answered.Load() {
		return b.judge(b.source.Read(p))
	}
	if b.since.IsZero() {
		b.since = now
	}
	if err := slow(b.received.Load(), b.rate, now.Sub(b.since)); err != nil {
		return 0, err
	}
	if b.until.Sub(now) < b.timeout {
		b.until = now.Add(b.timeout + b.timeout/20)
		if err := b.control.SetReadDeadline(b.until); err != nil {
			return 0, proxy.Fault{Kind: proxy.ClientGone, Cause: err}
		}
	}
	if b.answered.Load() {
		b.free()
	}
	return b.judge(b.source.Read(p))
}

// judge counts n bytes of content, read with err, and turns err into a fault.
func (b *streamBody) judge(n int, err error) (int, error) {
	if b.received.Add(int64(n)) > b.limit {
		return n, proxy.Fault{Kind: proxy.RequestTooLarge, Cause: fmt.Errorf("more than %d bytes of content", b.limit)}
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	if wire.TimedOut(err) {
		return n, proxy.Fault{Kind: proxy.RequestTimeout, Cause: fmt.Errorf("no content for %s", b.timeout)}
	}
	return n, proxy.Fault{Kind: proxy.ClientGone, Cause: fmt.Errorf("the client broke off its request: %w", err)}
}

// answer says that the reply has begun. How long the client may be silent from
// now on is for the backend to say: a call that goes both ways, as gRPC has, may
// be quiet for as long as its answer may.
func (b *streamBody) answer() {
	b.answered.Store(true)
	b.free()
}

// free takes the deadline away.
func (b *streamBody) free() { _ = b.control.SetReadDeadline(time.Time{}) } // a stream that has ended needs none

// Abort makes a Read in progress and later ones fail.
func (b *streamBody) Abort() { _ = b.source.Close() }

// Trailers implements proxy.Body.
func (b *streamBody) Trailers() http1.Fields {
	var fields http1.Fields
	for name, values := range b.request.Trailer {
		for _, value := range values {
			fields.Add(name, value)
		}
	}
	return passingTrailers(nil, fields, b.header)
}
