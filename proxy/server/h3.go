package server

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http3"
	"github.com/postern-gateway/postern/proxy/overload"
)

// datagrams is the HTTP/3 side of a listener: it takes connections on the UDP port of
// the same number, for as long as it isn't stopped.
//
// The socket is never shared with another process, because datagrams of one
// connection must not be spread over two. In an upgrade the new process waits for the
// port until the old one's connections have ended, and clients use TCP meanwhile.
type datagrams struct {
	listener *listener
	conns    sync.WaitGroup
	stopping chan struct{}
	once     sync.Once
	up       atomic.Bool // clients may be told of it

	mu       sync.Mutex // guards what follows
	endpoint *http3.Endpoint
}

const (
	// udpRetry is how often a UDP port that is in use is tried again.
	udpRetry = time.Second
	// calmHandshakes is up to how many handshakes may be under way before clients have
	// to show that they get what is sent to their address.
	calmHandshakes = 100
)

// alternate begins or ends HTTP/3 as s wants it. Server.mu is held.
func (l *listener) alternate(s *settings) {
	d := l.datagrams.Load()
	switch {
	case s.h3 && d == nil:
		d = &datagrams{listener: l, stopping: make(chan struct{})}
		l.datagrams.Store(d)
		opened := d.tryOpen()
		if opened != nil {
			l.server.logger.Warn("HTTP/3 waits for its UDP port; clients use TCP", zap.String("listener", l.name), zap.Error(opened))
		}
		l.server.work.Add(1)
		go d.run()
	case !s.h3 && d != nil:
		d.stop()
		l.datagrams.Store(nil)
		for c := range l.server.conns {
			if c, ok := c.(*shared); ok && c.listener == l && c.protocol == &l.server.h3 {
				c.below.Shutdown()
			}
		}
	}
}

// stop takes no new connections, and asks those that are there to end.
func (d *datagrams) stop() {
	d.once.Do(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		close(d.stopping)
		d.up.Store(false)
		if d.endpoint != nil {
			d.endpoint.Stop()
		}
	})
}

// stopped reports whether stop was called.
func (d *datagrams) stopped() bool {
	select {
	case <-d.stopping:
		return true
	default:
		return false
	}
}

// run takes connections, and frees the port when the last one has ended.
func (d *datagrams) run() {
	s := d.listener.server
	defer s.work.Done()
	endpoint := d.await()
	if endpoint == nil {
		return
	}
	defer endpoint.Close()
	defer d.conns.Wait()
	for {
		c, err := endpoint.Accept()
		if err != nil {
			if !d.stopped() {
				d.up.Store(false)
				s.logger.Error("HTTP/3 has ended", zap.String("listener", d.listener.name), zap.Error(err))
			}
			return
		}
		d.conns.Add(1)
		s.work.Add(1)
		go d.serve(c)
	}
}

// await returns the endpoint as soon as the port is free; nil means that it was
// stopped before.
func (d *datagrams) await() *http3.Endpoint {
	for {
		d.mu.Lock()
		endpoint := d.endpoint
		d.mu.Unlock()
		if endpoint != nil {
			return endpoint
		}
		select {
		case <-d.stopping:
			return nil
		case <-time.After(udpRetry):
		}
		_ = d.tryOpen() // it was told once
	}
}

// tryOpen opens the socket, and does nothing once stop was called.
func (d *datagrams) tryOpen() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped() {
		return nil
	}
	var err error
	if d.endpoint, err = d.listen(); err == nil {
		d.up.Store(true)
	}
	return err
}

// listen opens the UDP port that has the number of the TCP port.
func (d *datagrams) listen() (*http3.Endpoint, error) {
	l := d.listener
	socket, err := net.ListenPacket("udp", l.socket.Addr().String()) // not with reuse_port: see datagrams
	if err != nil {
		return nil, err
	}
	return http3.Listen(socket, http3.Options{TLS: l.greetHTTP3, Settings: d.settings, Enter: l.enterHTTP3, Wary: l.wary})
}

// settings are those of new connections.
func (d *datagrams) settings() http3.Settings {
	s := d.listener.settings.Load()
	return http3.Settings{
		Streams:       s.Streams,
		Header:        int(s.Header) + 32*fewFields,
		StreamWindow:  streamUpload,
		ConnWindow:    connUpload,
		HeaderTimeout: time.Duration(s.HeaderTimeout),
		IdleTimeout:   time.Duration(s.IdleTimeout),
		WriteTimeout:  time.Duration(s.WriteTimeout),
		Pace:          s.pace(),
	}
}

// greetHTTP3 returns how TLS is spoken: as with clients that come by TCP.
func (l *listener) greetHTTP3(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	s := l.settings.Load()
	if s.tls == nil { // a reload has taken TLS away, and HTTP/3 with it
		return nil, net.ErrClosed
	}
	cfg, err := s.tls.GetConfigForClient(hello)
	if cfg == nil && err == nil {
		cfg = s.tls
	}
	return cfg, err
}

// enterHTTP3 decides about a client that begins a connection.
func (l *listener) enterHTTP3(client netip.AddrPort) (leave func(), ok bool) {
	s := l.settings.Load()
	if l.server.overload.Level() >= overload.Shedding {
		l.server.refusals.memory.Add(1)
		return nil, false
	}
	if !l.active.try(int64(s.Connections)) {
		l.server.refusals.full.Add(1)
		return nil, false
	}
	key, ok := l.admitClient(s, client.Addr())
	if !ok {
		l.active.leave()
		return nil, false
	}
	return func() {
		l.crowd.open.Leave(key)
		l.active.leave()
	}, true
}

// wary says whether clients have to show that their address is theirs: when many
// handshakes are under way, and where addresses are counted, so that nobody uses up
// what is another's.
func (l *listener) wary(handshakes int) bool {
	s := l.settings.Load()
	return handshakes > calmHandshakes || s.arrivals.Bounds() || 0 < s.Client.Connections && s.Client.Connections <= 2*calmHandshakes ||
		l.server.overload.Level() > overload.Calm
}

// serve takes one connection to its end.
func (d *datagrams) serve(below *http3.Conn) {
	l := d.listener
	defer l.server.work.Done()
	defer d.conns.Done()
	state := below.TLS()
	var e ends
	e.client, e.local = below.Ends()
	c := l.newShared(&l.server.h3, e, describeTLS(&state))
	c.below = below
	if !c.enter() {
		below.Close()
		return
	}
	defer l.server.leave(c)
	if d.stopped() { // who hurried the others may not have seen this one
		below.Shutdown()
	}
	l.server.alternatives.Add(1)
	defer l.server.alternatives.Add(-1)
	_ = below.Serve(func(s *http3.Stream) { c.serve(s) }) // access records tell
}

// offerHTTP3 tells the client of ex that it can come by HTTP/3: by the same port as it
// took, which may be another one than ours outside. RFC 7838, 3.
func offerHTTP3(ex *proxy.Exchange) {
	port := ex.In.Port
	if port == "" {
		port = "443"
	}
	b := append(ex.Text.Begin(), `h3=":`...)
	b = append(b, port...)
	b = append(b, `"; ma=86400`...)
	ex.Reply.Fields.Set("Alt-Svc", ex.Text.Finish(b))
}
