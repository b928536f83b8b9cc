package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

// Protocol is HTTP/3's name in ALPN. RFC 9114, 3.1.
const Protocol = "h3"

// Options are what an Endpoint needs. All functions are called by any goroutine.
type Options struct {
	// TLS says how to speak TLS to a client; what it says of protocols doesn't count.
	TLS func(*tls.ClientHelloInfo) (*tls.Config, error)
	// Settings are for connections from now on.
	Settings func() Settings
	// Enter decides whether a client may begin a connection. leave is called when the
	// connection has ended, however far it came.
	Enter func(client netip.AddrPort) (leave func(), ok bool)
	// Wary says, with how many handshakes are under way, whether a client has to show
	// first that it gets what is sent to its address: RFC 9000, 8.1.2.
	Wary func(handshakes int) bool
}

// Endpoint takes HTTP/3 connections on one UDP socket.
type Endpoint struct {
	socket     net.PacketConn
	transport  *quic.Transport
	listener   *quic.Listener
	options    Options
	handshakes atomic.Int64
	stopped    context.Context
	stop       context.CancelFunc
	closer     sync.Once
}

// errRefused is what a connection fails with that isn't let in.
var errRefused = errors.New("the connection isn't wanted")

// Listen takes connections on socket, which is the Endpoint's from now on.
func Listen(socket net.PacketConn, o Options) (*Endpoint, error) {
	e := &Endpoint{socket: socket, options: o}
	e.stopped, e.stop = context.WithCancel(context.Background())
	e.transport = &quic.Transport{
		Conn:                socket,
		ConnContext:         e.enter,
		VerifySourceAddress: func(net.Addr) bool { return o.Wary(int(e.handshakes.Load())) },
	}
	config := &quic.Config{GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) { return quicConfig(o.Settings()), nil }}
	var err error
	e.listener, err = e.transport.Listen(&tls.Config{NextProtos: []string{Protocol}, GetConfigForClient: e.tls}, config)
	if err != nil {
		_ = e.Close() // nobody is connected
		return nil, err
	}
	return e, nil
}

// tls returns how to speak to a client: as o.TLS says, but for the protocol.
func (e *Endpoint) tls(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	cfg, err := e.options.TLS(hello)
	if err != nil || cfg == nil {
		return nil, err
	}
	cfg = cfg.Clone()
	cfg.NextProtos = []string{Protocol}
	return cfg, nil
}

// quicConfig is what QUIC has to keep to. 0-RTT stays off: what comes by it can be
// repeated by anybody who saw it. RFC 8470.
func quicConfig(s Settings) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           s.HeaderTimeout / 2, // twice that in all
		MaxIdleTimeout:                 s.IdleTimeout,
		KeepAlivePeriod:                s.IdleTimeout / 3, // connections without streams are ended by us
		InitialStreamReceiveWindow:     uint64(s.StreamWindow),
		MaxStreamReceiveWindow:         uint64(s.StreamWindow),
		InitialConnectionReceiveWindow: uint64(s.ConnWindow),
		MaxConnectionReceiveWindow:     uint64(s.ConnWindow),
		MaxIncomingStreams:             int64(s.Streams),
		MaxIncomingUniStreams:          uniStreams,
		RequireStreamCreditRelease:     true,
	}
}

// enter is asked before each handshake.
func (e *Endpoint) enter(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	if e.stopped.Err() != nil {
		return nil, errRefused
	}
	leave, ok := e.options.Enter(AddrPort(info.RemoteAddr))
	if !ok {
		return nil, errRefused
	}
	h := &handshake{endpoint: e}
	e.handshakes.Add(1)
	context.AfterFunc(ctx, func() {
		h.over()
		leave()
	})
	return context.WithValue(ctx, handshakeKey{}, h), nil
}

// handshake counts one that is under way, until it is over.
type handshake struct {
	endpoint *Endpoint
	once     sync.Once
}

type handshakeKey struct{}

func (h *handshake) over() { h.once.Do(func() { h.endpoint.handshakes.Add(-1) }) }

// Accept returns the next connection whose handshake is complete. It fails when the
// Endpoint has stopped.
func (e *Endpoint) Accept() (*Conn, error) {
	q, err := e.listener.Accept(e.stopped)
	if err != nil {
		return nil, err
	}
	if h, ok := q.Context().Value(handshakeKey{}).(*handshake); ok {
		h.over()
	}
	return newConn(q, e.options.Settings()), nil
}

// Ends returns the addresses of a connection's client and of ours.
func (c *Conn) Ends() (client, local netip.AddrPort) {
	return AddrPort(c.quic.RemoteAddr()), AddrPort(c.quic.LocalAddr())
}

// AddrPort returns the address of a UDP socket.
func AddrPort(a net.Addr) netip.AddrPort {
	if udp, ok := a.(*net.UDPAddr); ok {
		ap := udp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Stop takes no new connections: whoever begins one is refused at once, and can use
// TCP. Those that are there go on. Accept fails.
func (e *Endpoint) Stop() { e.stop() }

// Close ends the connections that are there, and closes the socket.
func (e *Endpoint) Close() error {
	var err error
	e.closer.Do(func() {
		e.stop()
		_ = e.transport.Close() // the socket's error says more
		err = e.socket.Close()
	})
	return err
}
