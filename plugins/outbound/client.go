// Package outbound sends the requests of plugins to other servers: to those that
// the configuration names and to no address that it doesn't mean, with bounds for
// how many, how large and how long. It owns net/http's client.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/reach"
)

const (
	// maxHead is how large the head of an answer may be, in bytes.
	maxHead = 64 << 10
	// maxURL is how long a URL may be, in bytes.
	maxURL = 8 << 10
	// keepAlive is how long a connection may wait for its next request, and
	// keepConns how many may to one server.
	keepAlive = 30 * time.Second
	keepConns = 16
)

// The errors of requests. Those that say what exactly happened wrap them.
var (
	// ErrDenied is for what the rules don't allow: a server, a method, an address,
	// a header field.
	ErrDenied = reach.ErrDenied
	// ErrMalformed is for a request that is none.
	ErrMalformed = errors.New("malformed")
	// ErrLimit is for too many requests in a call, and for too much content.
	ErrLimit = errors.New("more than allowed")
	// ErrUnavailable is for a server that can't be reached or doesn't answer with
	// HTTP, and for a session that was given up.
	ErrUnavailable = errors.New("no answer")
	// ErrDeadline is for a server that took too long.
	ErrDeadline = errors.New("too slow")
)

// Client sends the requests of one plugin. Safe for concurrent use.
type Client struct {
	allowed   []origin
	methods   []string
	calls     int   // in a session
	size      int64 // bytes of content
	timeout   time.Duration
	transport *http.Transport
	dialer    net.Dialer
	tls       *tls.Config
}

// New returns a client with the rules of o; authorities are the certificates of
// o.CA as PEM, nil for none. The error is a *config.KeyError below o's table.
func New(o *config.PluginHTTP, authorities []byte) (*Client, error) {
	c := &Client{
		methods: o.Methods, calls: o.MaxCalls, size: int64(o.MaxBytes), timeout: time.Duration(o.Timeout),
		tls: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	for i, text := range o.Allow {
		rule, err := parseRule(text, o.Private)
		if err != nil {
			err.Path = []string{"allow", strconv.Itoa(i)}
			return nil, err
		}
		c.allowed = append(c.allowed, rule)
	}
	if i := slices.Index(o.Methods, http.MethodConnect); i >= 0 {
		return nil, &config.KeyError{Path: []string{"methods", strconv.Itoa(i)}, Text: "plugins have no tunnels", Hint: "leave CONNECT out"}
	}
	if authorities != nil {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool() // the system has none
		}
		if !roots.AppendCertsFromPEM(authorities) {
			return nil, &config.KeyError{Path: []string{"ca"}, Text: "the file has no certificate as PEM"}
		}
		c.tls.RootCAs = roots
	}
	// The proxy of the environment isn't asked: it would connect for us, to whom we
	// wouldn't see.
	c.dialer.ControlContext = reach.Control(reach.Including(o.Private))
	c.transport = &http.Transport{
		DialContext: c.dial, DialTLSContext: c.dialTLS,
		DisableCompression:     true, // a small answer could become a large one
		MaxResponseHeaderBytes: maxHead,
		MaxIdleConnsPerHost:    keepConns,
		IdleConnTimeout:        keepAlive,
	}
	return c, nil
}

// Calls is how many requests one call may send.
func (c *Client) Calls() int { return c.calls }

// Close closes the connections that nobody uses. No session may be open.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// sessionKey finds the session's context in one that is made from it.
type sessionKey struct{}

// within returns ctx with the end of the session that it was made from: net/http
// goes on dialling when nobody waits any more, for requests to come.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	session, ok := ctx.Value(sessionKey{}).(context.Context)
	if !ok {
		return ctx, stop
	}
	detach := context.AfterFunc(session, stop)
	return ctx, func() { detach(); stop() }
}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, stop := within(ctx)
	defer stop()
	return c.dialer.DialContext(ctx, network, address)
}

func (c *Client) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, stop := within(ctx)
	defer stop()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	plain, err := c.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	settings := c.tls.Clone()
	settings.ServerName = host
	conn := tls.Client(plain, settings)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close() // the handshake's error counts
		return nil, err
	}
	return conn, nil
}
