package server

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/postern-gateway/postern/proxy/config"
)

// ends are the two ends of a connection, as far as is known: the header of the
// PROXY protocol tells more than the socket.
type ends struct{ client, local netip.AddrPort }

func endsOf(socket net.Conn) ends {
	return ends{client: addrPort(socket.RemoteAddr()), local: addrPort(socket.LocalAddr())}
}

// preface says who begins connections with a header of the PROXY protocol.
// Immutable.
type preface struct {
	from    prefixes
	timeout time.Duration
}

// newPreface returns nil when nobody does.
func newPreface(c *config.Listen) (*preface, error) {
	if c.ProxyProtocol == nil {
		return nil, nil
	}
	from, err := parsePrefixes(c.ProxyProtocol.From)
	if err != nil {
		return nil, err
	}
	return &preface{from: from, timeout: time.Duration(min(c.ProxyProtocol.Timeout, c.Limits.HeaderTimeout))}, nil
}

// The parts of a header, in bytes. The PROXY protocol, 2.1 and 2.2.
const (
	prefaceStart   = 12  // signature of version 2; version 1 is longer in any case
	prefaceText    = 107 // longest header of version 1
	prefaceFixed   = 16  // version 2: signature, version and command, family, length
	prefaceOptions = 4 << 10
)

// ErrPreface is a connection that doesn't begin as the PROXY protocol demands.
var ErrPreface = errors.New("no good PROXY protocol header")

// read reads the header from socket and corrects e by it, if e's client is one
// of those that send it. Not a byte behind the header is read: what comes next
// may be TLS.
func (p *preface) read(socket net.Conn, e ends) (ends, error) {
	if !p.from.has(e.client.Addr()) {
		return e, nil
	}
	if err := socket.SetReadDeadline(time.Now().Add(p.timeout)); err != nil {
		return e, err
	}
	raw, err := readPreface(socket)
	if err != nil {
		return e, err
	}
	if err := socket.SetReadDeadline(time.Time{}); err != nil {
		return e, err
	}
	return parsePreface(raw, e)
}

// readPreface reads exactly one header.
func readPreface(r io.Reader) ([]byte, error) {
	b := make([]byte, prefaceStart, prefaceFixed+128)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	switch {
	case bytes.Equal(b, proxyproto.SIGV2):
		b = b[:prefaceFixed]
		if _, err := io.ReadFull(r, b[prefaceStart:]); err != nil {
			return nil, err
		}
		n := int(binary.BigEndian.Uint16(b[prefaceFixed-2:]))
		if n > prefaceOptions {
			return nil, fmt.Errorf("%w: %d bytes", ErrPreface, n)
		}
		b = append(b, make([]byte, n)...)
		_, err := io.ReadFull(r, b[prefaceFixed:])
		return b, err
	case bytes.HasPrefix(b, append(proxyproto.SIGV1, ' ')):
		// The line's length isn't known ahead. Version 2 is read in three pieces.
		for !bytes.HasSuffix(b, []byte("\n")) {
			if len(b) == prefaceText {
				return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrPreface, prefaceText)
			}
			b = b[:len(b)+1]
			if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	return nil, fmt.Errorf("%w: it begins with %q", ErrPreface, b)
}

// parsePreface corrects e by the header raw.
func parsePreface(raw []byte, e ends) (ends, error) {
	r := bufio.NewReaderSize(bytes.NewReader(raw), len(raw))
	h, err := proxyproto.Read(r)
	if err != nil {
		return e, fmt.Errorf("%w: %w", ErrPreface, err)
	}
	if r.Buffered() > 0 {
		return e, fmt.Errorf("%w: %d bytes too long", ErrPreface, r.Buffered())
	}
	if h.Command.IsLocal() { // a health check, or an address that the sender doesn't know
		return e, nil
	}
	from, to, ok := h.TCPAddrs()
	if !ok {
		return e, fmt.Errorf("%w: it names no TCP addresses", ErrPreface)
	}
	told := ends{client: addrPort(from), local: addrPort(to)}
	if !told.client.Addr().IsValid() || told.client.Addr().IsUnspecified() {
		return e, fmt.Errorf("%w: the client's address is %s", ErrPreface, told.client)
	}
	return told, nil
}
