package upstream

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http2"

	"github.com/postern-gateway/postern/proxy/http1"
)

// request makes the HTTP/2 request from ex.Out. All its strings are copies:
// HPACK's table remembers them for longer than the exchange lives.
func (c *call) request(ctx context.Context) *http.Request {
	out := &c.ex.Out
	size := len(out.Method) + len(out.Host) + len(out.Target)
	for i := range out.Fields {
		size += len(out.Fields[i].Name) + len(out.Fields[i].Value)
	}
	copies := newCopier(size)
	header := make(http.Header, len(out.Fields)+1)
	values := make([]string, len(out.Fields))
	for i := range out.Fields {
		f := &out.Fields[i]
		if k := f.Known(); ours(k) && !(k == http1.TE && f.Value == "trailers") {
			continue // TE: RFC 9113, 8.2.2
		}
		name, value := copies.lower(f.Name), copies.text(f.Value)
		if had := header[name]; had != nil {
			header[name] = append(had, value)
			continue
		}
		values[i] = value
		header[name] = values[i : i+1 : i+1]
	}
	if _, named := header["user-agent"]; !named {
		header["user-agent"] = nil // else it gets one of Go's
	}
	scheme := "http"
	if c.pool.target.tls != nil {
		scheme = "https"
	}
	host := copies.text(out.Host)
	target := &url.URL{Scheme: scheme, Host: host}
	if target.Opaque = copies.text(out.Target); strings.HasPrefix(out.Target, "//") {
		// What begins so would be taken for an authority; a whole URL isn't.
		target.Opaque = "//" + host + target.Opaque
	}
	r := &http.Request{Method: copies.text(out.Method), URL: target, Host: host, Header: header}
	if c.content != nil {
		r.Body, r.ContentLength = c.content, c.content.length
		r.Trailer = c.content.trailer
	}
	return r.WithContext(ctx)
}

// copier copies strings into one piece of memory.
type copier struct{ b strings.Builder }

// newCopier returns a copier with room for size bytes.
func newCopier(size int) *copier {
	c := new(copier)
	c.b.Grow(size)
	return c
}

func (c *copier) text(s string) string {
	c.b.WriteString(s)
	return c.b.String()[c.b.Len()-len(s):]
}

// lower is text with upper-case letters lowered. RFC 9113, 8.2.1.
func (c *copier) lower(s string) string {
	for i := range len(s) {
		b := s[i]
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		c.b.WriteByte(b)
	}
	return c.b.String()[c.b.Len()-len(s):]
}

// appendHeader appends header's fields, sorted: a map has no order, and the same
// answer shall give the same reply.
func appendHeader(fields http1.Fields, header http.Header) http1.Fields {
	from := len(fields)
	for name, values := range header {
		for _, value := range values {
			fields = append(fields, http1.NewField(name, value))
		}
	}
	slices.SortStableFunc(fields[from:], func(a, b http1.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// newTransport returns the settings under which s's connections speak HTTP/2.
func newTransport(s *settings) *http2.Transport {
	// The only way to set the windows; it isn't used otherwise, and so can't fail.
	carrier := &http.Transport{HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: streamWindow}}
	t, err := http2.ConfigureTransports(carrier)
	if err != nil {
		t = new(http2.Transport)
	}
	t.DisableCompression = true
	t.MaxHeaderListSize = uint32(s.headerBytes)
	t.WriteByteTimeout = s.idle
	return t
}

// What golang.org/x/net says of a connection that takes no more requests; it
// doesn't export these errors. Each means that the peer won't process the
// request. A test provokes them.
const (
	sayUnusable  = "http2: client conn not usable"
	sayNotOpened = "http2: client conn could not be established"
	sayGoAway    = "http2: Transport received Server's graceful shutdown GOAWAY"
)

// ended reports whether err is the end of a connection to which the request
// came too late.
func ended(err error) bool {
	switch err.Error() {
	case sayUnusable, sayNotOpened, sayGoAway:
		return true
	}
	return false
}

// What golang.org/x/net says of a request whose header the peer doesn't take,
// and as the cause of a reset that the peer sent.
const (
	sayRequest  = "request header list larger than peer's advertised limit"
	sayFromPeer = "received from peer"
)
