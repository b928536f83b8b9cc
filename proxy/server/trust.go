package server

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// prefixes are the addresses that a listener treats specially. Immutable.
type prefixes []netip.Prefix

// parsePrefixes reads what the configuration's checks have accepted.
func parsePrefixes(list []string) (prefixes, error) {
	var all prefixes
	for _, text := range list {
		p, err := config.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// has reports whether addr, which isn't IPv4 in IPv6, is one of them.
func (p prefixes) has(addr netip.Addr) bool {
	if addr.Zone() != "" {
		addr = addr.WithZone("") // a prefix has none and would contain nothing
	}
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// trust says whose word about the client counts, and which word. Immutable.
type trust struct {
	proxies  prefixes
	standard bool // Forwarded, else X-Forwarded-For and its kin
	host     bool // what they say of the host counts too
}

// newTrust returns nil when nobody is trusted.
func newTrust(c *config.Listen) (*trust, error) {
	proxies, err := parsePrefixes(c.TrustedProxies)
	if len(proxies) == 0 || err != nil {
		return nil, err
	}
	return &trust{proxies: proxies, standard: c.ClientHeader == "forwarded", host: c.TrustForwardedHost}, nil
}

// maxHops bounds the trusted proxies that a request may have come through.
const maxHops = 32

// chain is what trusted proxies say, from the one next to the client on.
type chain struct {
	client netip.AddrPort
	hops   [maxHops]netip.Addr // from our peer towards the client
	n      int
	proto  string // as the outermost proxy was asked; "" when it doesn't tell
	host   string
}

// believe corrects what ex.In says of the client's side by what the trusted
// proxies tell, if the peer is one. It is called with In filled from the
// connection and the head. ok is false when what they tell can't be read: to go
// on with a proxy's address then would let a client that spoils the chain pass
// for the proxy.
func (t *trust) believe(ex *proxy.Exchange) (refused proxy.Fault, ok bool) {
	in := &ex.In
	if !t.proxies.has(in.Client.Addr()) {
		return proxy.Fault{}, true
	}
	in.Trusted = true
	c := chain{client: in.Client}
	var err error
	if t.standard {
		err = c.followForwarded(t, in.Fields)
	} else {
		err = c.followXForwarded(t, in)
	}
	if err != nil {
		return proxy.Fault{Kind: proxy.BadRequest, Cause: fmt.Errorf("trusted proxy %s: %w", in.Client.Addr(), err)}, false
	}
	if c.n > 0 {
		in.Client = c.client
		in.ClientText = addressText(ex, c.client.Addr())
		in.Hops = c.text(ex)
	}
	if c.proto != "" {
		in.Scheme = c.proto
	}
	if t.host && c.host != "" {
		if in.Host, in.Port, err = http1.ParseHost(c.host); err != nil {
			return proxy.Fault{Kind: proxy.BadRequest, Cause: fmt.Errorf("forwarded host: %w", err)}, false
		}
	}
	return proxy.Fault{}, true
}

func addressText(ex *proxy.Exchange, addr netip.Addr) string {
	return ex.Text.Finish(addr.AppendTo(ex.Text.Begin()))
}

// text returns the trusted proxies as X-Forwarded-For has them.
func (c *chain) text(ex *proxy.Exchange) string {
	b := ex.Text.Begin()
	for i := c.n - 1; i >= 0; i-- {
		b = c.hops[i].WithZone("").AppendTo(b)
		if i > 0 {
			b = append(b, ", "...)
		}
	}
	return ex.Text.Finish(b)
}

// step goes from c.client, who is trusted, to the one that it names. more is
// false when that one is not trusted: it is the client.
func (c *chain) step(t *trust, node string) (more bool, err error) {
	from, err := parseNode(node)
	if err != nil {
		return false, err
	}
	if c.n == maxHops {
		return false, fmt.Errorf("more than %d trusted proxies", maxHops)
	}
	c.hops[c.n] = c.client.Addr()
	c.n++
	c.client = from
	return t.proxies.has(from.Addr()), nil
}

// followXForwarded reads X-Forwarded-For from its end, and the nearest word of
// X-Forwarded-Proto, -Host and -Port.
func (c *chain) followXForwarded(t *trust, in *proxy.Request) error {
	more := true
	for i := len(in.Fields) - 1; i >= 0; i-- {
		f := &in.Fields[i]
		switch f.Known() {
		case http1.XForwardedFor:
			var err error
			for rest := f.Value; more && rest != "" && err == nil; {
				var node string
				if rest, node = lastItem(rest); node != "" {
					more, err = c.step(t, node)
				}
			}
			if err != nil {
				return fmt.Errorf("X-Forwarded-For: %w", err)
			}
		case http1.XForwardedProto:
			if _, last := lastItem(f.Value); c.proto == "" {
				c.proto = scheme(last)
			}
		case http1.XForwardedHost:
			if _, last := lastItem(f.Value); c.host == "" {
				c.host = last
			}
		case http1.XForwardedPort:
			if _, last := lastItem(f.Value); last != "" {
				if port, err := strconv.ParseUint(last, 10, 16); err == nil {
					in.Local = netip.AddrPortFrom(in.Local.Addr(), uint16(port))
				}
			}
		}
	}
	return nil
}

// lastItem takes the last item off a comma-separated list.
func lastItem(list string) (rest, item string) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], strings.Trim(list[i+1:], " \t")
	}
	return "", strings.Trim(list, " \t")
}

// scheme returns s if it is one that a request can have.
func scheme(s string) string {
	switch {
	case strings.EqualFold(s, "https"):
		return "https"
	case strings.EqualFold(s, "http"):
		return "http"
	}
	return ""
}

// ErrNode is a node that is no address. RFC 7239, 6.2 and 6.3 allow "unknown"
// and made-up names too; whoever trusts a proxy needs addresses.
var ErrNode = errors.New("not an address")

// parseNode reads an address with or without a port: 192.0.2.1, 192.0.2.1:80,
// 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
func parseNode(s string) (netip.AddrPort, error) {
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || end+1 < len(s) && s[end+1] != ':' {
			return netip.AddrPort{}, fmt.Errorf("%q: %w", clip(s), ErrNode)
		}
		host, port = s[1:end], s[end+1:]
	} else if i := strings.IndexByte(s, ':'); i >= 0 && strings.LastIndexByte(s, ':') == i {
		host, port = s[:i], s[i:]
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.Is4() && s[0] == '[' {
		return netip.AddrPort{}, fmt.Errorf("%q: %w", clip(s), ErrNode)
	}
	var n uint64
	if port != "" {
		if n, err = strconv.ParseUint(port[1:], 10, 16); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%q: %w", clip(s), ErrNode)
		}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// clip shortens what a stranger sent for a message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}
