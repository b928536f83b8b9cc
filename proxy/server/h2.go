package server

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/http2"
	"github.com/postern-gateway/postern/proxy/overload"
	"github.com/postern-gateway/postern/proxy/wire"
)

// How much of its requests' content a client may have under way, in bytes: on
// one stream, and on all of a connection. Sixteen streams that nobody reads, as
// with a slow backend, don't hold up the others.
const (
	streamUpload = 256 << 10
	connUpload   = 4 << 20
)

// fewFields is for how many fields there is room besides limits.header: HTTP/2
// counts 32 bytes for each. RFC 9113, 6.5.2.
const fewFields = 10

// shared is one client connection of a protocol with streams: HTTP/2 or HTTP/3.
type shared struct {
	listener *listener
	settings *settings
	protocol *protocol
	below    streams
	ends     ends
	address  string // the client's as text
	state    *sessionTLS
	life     lifetime
	served   atomic.Int64 // requests
}

// streams is the connection itself.
type streams interface {
	// Shutdown asks the client to go; what it has sent up to when it knows is answered.
	Shutdown()
	// Close ends the connection at once.
	Close()
}

// call is one of its requests, as *http2.Stream and *http3.Stream are: all that the
// two have in common, so that requests are served by one code.
type call interface {
	context.Context
	AfterFunc(func()) (stop func() bool)
	Head() *http2.Head
	Read([]byte) (int, error)
	SetReadDeadline(time.Time)
	Abort()
	Trailers() http1.Fields
	Inform(block []byte) error
	WriteHead(block []byte, end bool) error
	Write(p []byte, end bool) (int, error)
	Flush()
	Gone() bool
	Reset()
}

// protocol is how heads are written. Immutable.
type protocol struct {
	name   string
	status func(b []byte, status int) []byte
	field  func(b []byte, name, value string) []byte
	length func(b []byte, n int64) []byte
}

// newShared returns the connection; whoever calls it sets what is below.
func (l *listener) newShared(p *protocol, e ends, state *sessionTLS) *shared {
	c := &shared{listener: l, settings: l.settings.Load(), protocol: p, ends: e, state: state}
	c.address = c.ends.client.Addr().WithZone("").String()
	c.life.begin(time.Now(), l.server.entropy())
	return c
}

// hurry implements closer: GOAWAY, then no new streams. RFC 9113, 6.8.
func (c *shared) hurry(time.Duration) { c.below.Shutdown() }

// ending reports whether no more requests are wanted.
func (c *shared) ending() bool { return c.listener.server.draining.Load() || c.listener.stopped.Load() }

// of implements closer.
func (c *shared) of() *listener { return c.listener }

// kill implements closer.
func (c *shared) kill() { c.below.Close() }

func (l *listener) serveHTTP2(g *greeted) {
	c := l.newShared(&l.server.h2, g.ends, g.state)
	s := c.settings
	below := http2.NewConn(g.wire, g.socket, &l.server.buffers, &l.server.workers, http2.Settings{
		Streams:       s.Streams,
		Header:        int(s.Header) + 32*fewFields,
		StreamWindow:  streamUpload,
		ConnWindow:    connUpload,
		HeaderTimeout: time.Duration(s.HeaderTimeout),
		IdleTimeout:   time.Duration(s.IdleTimeout),
		WriteTimeout:  time.Duration(s.WriteTimeout),
		Pace:          s.pace(),
	}, func(s *http2.Stream) { c.serve(s) })
	c.below = below
	if !c.enter() {
		return
	}
	defer l.server.leave(c)
	_ = below.Serve() // access records tell
}

// enter registers c; false means that the server is closed.
func (c *shared) enter() bool {
	if !c.listener.server.enter(c) {
		return false
	}
	if c.ending() { // who hurried the others didn't see this one
		c.below.Shutdown()
	}
	return true
}

// stream is one request. It is used again for later ones.
type stream struct {
	conn  *shared
	call  call
	ex    proxy.Exchange
	body  streamBody
	block []byte // fields as they go out
	shard uint8  // of counters
}

// Inform implements proxy.Client.
func (s *stream) Inform(status int, fields http1.Fields) error {
	return s.call.Inform(s.appendBlock(s.conn.protocol.status(nil, status), fields))
}

// Gone implements proxy.Client.
func (s *stream) Gone() bool { return s.call.Gone() }

// serve answers one request.
func (c *shared) serve(h call) {
	streams := &c.listener.server.streams
	s, _ := streams.Get().(*stream)
	if s == nil {
		s = &stream{shard: c.listener.server.nextShard()}
	}
	s.conn, s.call = c, h
	if !s.answer() {
		h.Reset() // the client can't take it for complete
	}
	s.conn, s.call, s.body.source = nil, nil, nil
	streams.Put(s)
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
	if c := s.conn; c.served.Add(1) == int64(c.settings.Requests) {
		c.below.Shutdown() // the client knows it before its last reply is here
	}
	start := time.Now()
	ex.Begin(start, s)
	ex.Shard = s.shard
	identify(server, ex)
	refused, ok := s.fill()
	if limit := time.Duration(s.conn.settings.RequestTime); limit > 0 {
		defer time.AfterFunc(limit, s.call.Reset).Stop()
	}
	if ok {
		s.conn.listener.dispatch(s.call, s.conn.settings, snap, ex, flying, &s.body.limit)
	} else {
		ex.Refuse(refused)
	}
	complete = s.write()
	ex.Notes.BytesIn = s.body.received.Load()
	ex.Times.Total = ex.Now().Sub(start)
	server.recorderOf(ex).Record(ex)
	ex.End()
	return complete
}

// fill makes ex.In from the request, through the same parsers as HTTP/1.1.
func (s *stream) fill() (refused proxy.Fault, ok bool) {
	in, h, c := &s.ex.In, s.call.Head(), s.conn
	in.Method, in.Proto, in.Scheme, in.TLS = h.Method, c.protocol.name, "http", c.state
	if c.state != nil {
		in.Scheme = "https"
	}
	in.Client, in.ClientText, in.Local = c.ends.client, c.address, c.ends.local
	s.body.begin(s, h)
	switch {
	case h.TooLarge:
		return s.refuse(proxy.HeadTooLarge, fmt.Errorf("more than %d bytes of header fields", c.settings.Header))
	case h.Malformed != nil:
		return s.refuse(proxy.BadRequest, h.Malformed)
	case len(h.Path) > int(c.settings.Line):
		return s.refuse(proxy.URITooLong, fmt.Errorf("target of %d bytes", len(h.Path)))
	case len(h.Fields) > c.settings.Headers:
		return s.refuse(proxy.HeadTooLarge, fmt.Errorf("%d header fields", len(h.Fields)))
	}
	host, hosts := h.Authority, 0
	for i := range h.Fields {
		f := h.Fields[i]
		if f.Known() == http1.Host {
			if hosts++; hosts > 1 || h.Authority != "" && f.Value != h.Authority {
				return s.refuse(proxy.BadRequest, fmt.Errorf(":authority %q and Host %q disagree", h.Authority, f.Value))
			}
			host = f.Value
		}
		f.Name = s.spell(&f)
		in.Fields = append(in.Fields, f)
	}
	// The authority is a field for everything downstream, as in HTTP/1.1.
	if hosts == 0 && host != "" {
		in.Fields = append(in.Fields, http1.NewField("Host", host))
	}
	if in.Length = h.Length; in.Length != 0 {
		in.Body = &s.body
	}
	takeClientID(&s.ex)
	if host != "" {
		var err error
		if in.Host, in.Port, err = http1.ParseHost(host); err != nil {
			return s.refuse(proxy.BadRequest, err)
		}
	}
	if refused, ok = fillTarget(in, h.Path); ok && c.settings.trust != nil {
		return c.settings.trust.believe(&s.ex)
	}
	return refused, ok
}

// refuse says why the request isn't served. What isn't well-formed is nobody's
// method.
func (s *stream) refuse(kind proxy.FaultKind, cause error) (proxy.Fault, bool) {
	if !http1.ValidFieldName(s.ex.In.Method) {
		s.ex.In.Method = "-"
	}
	return proxy.Fault{Kind: kind, Cause: cause}, false
}

// spell returns f's name as HTTP/1.1 would spell it: what is downstream, such as
// a function that gets an event, may look for it so.
func (s *stream) spell(f *http1.Field) string {
	if k := f.Known(); k != http1.Other {
		return k.String()
	}
	return s.ex.Text.Finish(appendSpelled(s.ex.Text.Begin(), f.Name))
}

func appendSpelled(b []byte, name string) []byte {
	first := true
	for i := range len(name) {
		c := name[i]
		if first && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		first = c == '-'
		b = append(b, c)
	}
	return b
}

// appendBlock appends those of fields that aren't the server's to write.
func (s *stream) appendBlock(b []byte, fields http1.Fields) []byte {
	for i := range fields {
		if f := &fields[i]; !framed(f.Known()) {
			b = s.conn.protocol.field(b, f.Name, f.Value)
		}
	}
	return b
}

// head returns the block of the reply's head.
func (s *stream) head(reply *proxy.Response) []byte {
	p := s.conn.protocol
	b := p.status(s.block[:0], reply.Status)
	b = p.field(b, "date", s.conn.listener.server.date.at(s.ex.Now()))
	b = s.appendBlock(b, reply.Fields)
	switch {
	case bodiless(reply.Status):
	case reply.Body == nil && reply.Content == nil && s.ex.In.Method == "HEAD":
		if reply.Length > 0 {
			b = p.length(b, reply.Length)
		}
	case reply.Body == nil:
		b = p.length(b, int64(len(reply.Content)))
	case reply.Length >= 0:
		b = p.length(b, reply.Length)
	}
	if cap(b) <= wire.Small {
		s.block = b
	}
	return b
}

// write sends the reply; false means that it broke off.
func (s *stream) write() bool {
	ex := &s.ex
	reply := &ex.Reply
	if ex.Fault != nil && ex.Fault.Kind == proxy.ClientGone {
		ex.Notes.ClientGone = true
		return false
	}
	c := s.conn
	if c.listener.server.overload.Level() > overload.Calm || c.life.over(c.settings, ex.Start) {
		c.below.Shutdown() // the connection ends with the streams that are open
	}
	empty := ex.In.Method == "HEAD" || bodiless(reply.Status) || reply.Body == nil && len(reply.Content) == 0
	if err := s.call.WriteHead(s.head(reply), empty); err != nil {
		return s.left(err)
	}
	if empty {
		return true
	}
	if reply.Body == nil {
		return s.put(reply.Content, true)
	}
	if ex.In.Body != nil {
		s.body.answer()
	}
	return s.stream(reply.Body)
}

// put writes p; false means that the client doesn't take it.
func (s *stream) put(p []byte, end bool) bool {
	n, err := s.call.Write(p, end)
	s.ex.Notes.BytesOut += int64(n)
	return err == nil || s.left(err)
}

// left notes that the client doesn't take the reply.
func (s *stream) left(err error) bool {
	s.ex.Notes.ClientGone = true
	s.ex.Interrupt(proxy.Fault{Kind: proxy.ClientGone, Cause: err})
	return false
}

func (s *stream) stream(body proxy.Body) bool {
	ex, buffers := &s.ex, &s.conn.listener.server.buffers
	peek, _ := body.(buffered)
	buf := buffers.Take(wire.Medium)
	defer buffers.Give(buf)
	// A client may need the head before it goes on: gRPC, server-sent events.
	if ex.Reply.Length == http1.Unknown && (peek == nil || peek.Buffered() == 0) {
		s.call.Flush()
	}
	for {
		n, err := body.Read(buf)
		var trailers http1.Fields
		if err == io.EOF {
			trailers = body.Trailers()
		}
		end := err == io.EOF && len(trailers) == 0
		if (n > 0 || end) && !s.put(buf[:n], end) {
			return false
		}
		switch {
		case end:
			return true
		case err == io.EOF:
			if err := s.call.WriteHead(s.appendBlock(s.block[:0], trailers), true); err != nil {
				return s.left(err)
			}
			return true
		case err != nil:
			ex.Notes.Truncated = true
			ex.Interrupt(err)
			return false
		case peek == nil || peek.Buffered() == 0:
			s.call.Flush()
		}
	}
}

// streamBody is the content of such a request.
type streamBody struct {
	stream   *stream
	source   call
	expected bool // the client waits for 100 (Continue)
	limit    int64
	timeout  time.Duration
	rate     int64     // least bytes a second
	since    time.Time // of the first Read
	until    time.Time // the deadline that is set

	answered atomic.Bool // the reply has begun
	received atomic.Int64
}

// begin makes b the content of s's request.
func (b *streamBody) begin(s *stream, h *http2.Head) {
	b.stream, b.source = s, s.call
	b.received.Store(0)
	b.until, b.since = time.Time{}, time.Time{}
	b.answered.Store(false)
	b.timeout, b.rate = time.Duration(s.conn.settings.BodyTimeout), int64(s.conn.settings.MinBodyRate)
	b.expected = h.Length != 0 && strings.EqualFold(h.Fields.GetKnown(http1.Expect), "100-continue")
}

// Continue has the client send its content, if it waits for 100 (Continue).
// RFC 9110, 10.1.1. The first Read does so too.
func (b *streamBody) Continue() error {
	if !b.expected {
		return nil
	}
	b.expected = false
	if err := b.stream.Inform(100, nil); err != nil {
		return proxy.Fault{Kind: proxy.ClientGone, Cause: err}
	}
	return nil
}

// Read implements proxy.Body, with the faults of requestBody.Read.
func (b *streamBody) Read(p []byte) (int, error) {
	if err := b.Continue(); err != nil {
		return 0, err
	}
	if b.answered.Load() {
		return b.judge(b.source.Read(p))
	}
	now := time.Now()
	if b.since.IsZero() {
		b.since = now
	}
	if err := slow(b.received.Load(), b.rate, now.Sub(b.since)); err != nil {
		return 0, err
	}
	if b.until.Sub(now) < b.timeout {
		b.until = now.Add(b.timeout + b.timeout/20)
		b.source.SetReadDeadline(b.until)
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
func (b *streamBody) free() { b.source.SetReadDeadline(time.Time{}) }

// Abort makes a Read in progress and later ones fail.
func (b *streamBody) Abort() { b.source.Abort() }

// Trailers implements proxy.Body.
func (b *streamBody) Trailers() http1.Fields {
	trailers := passingTrailers(nil, b.source.Trailers(), b.stream.ex.In.Fields)
	for i := range trailers {
		trailers[i].Name = string(appendSpelled(nil, trailers[i].Name))
	}
	return trailers
}
