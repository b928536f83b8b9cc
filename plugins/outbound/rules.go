package outbound

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// origin is who is spoken to.
type origin struct {
	scheme string
	host   string // lower case; an IPv6 address without brackets
	port   string
	below  bool // host stands for the names below it: the pattern was "*.host"
}

// covers reports whether o, a line of the list, lets requests go to other.
func (o *origin) covers(other *origin) bool {
	if o.scheme != other.scheme || o.port != other.port {
		return false
	}
	if o.below {
		name, found := strings.CutSuffix(other.host, "."+o.host)
		return found && name != ""
	}
	return o.host == other.host
}

// authority is the origin as a URL has it, without the scheme's own port.
func (o *origin) authority() string {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port == standardPort(o.scheme) {
		return host
	}
	return host + ":" + o.port
}

func standardPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// originOf returns the origin of a URL that url.Parse has taken apart.
func originOf(u *url.URL) (o origin, err error) {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return o, fmt.Errorf("the scheme %q isn't http or https", u.Scheme)
	case u.User != nil:
		return o, fmt.Errorf("a URL with user or password")
	case u.Opaque != "" || u.Host == "":
		return o, fmt.Errorf("the URL has no host")
	}
	o.scheme = u.Scheme
	if o.host, o.port, err = http1.ParseHost(u.Host); err != nil {
		return o, fmt.Errorf("%q isn't a host with or without a port", u.Host)
	}
	if o.port == "" {
		o.port = standardPort(o.scheme)
	}
	if addr, err := netip.ParseAddr(o.host); err == nil {
		o.host = addr.Unmap().String()
	} else if numeric(o.host) {
		// inet_aton's forms: a resolver may take 2130706433 or 0x7f.1 for 127.0.0.1.
		return o, fmt.Errorf("%q looks like an address, but isn't one in its usual form", o.host)
	}
	return o, nil
}

// numeric reports whether a host's last label is a number, as that of no name is.
// WHATWG URL, "ends in a number".
func numeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if digits, hex := strings.CutPrefix(last, "0x"); hex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// Origin returns the origin of the server at host, in lower case or not, if the
// rules allow it: they tell the scheme, and the port if that is "".
func (c *Client) Origin(host, port string) (origin string, ok bool) {
	for i := range c.allowed {
		to := c.allowed[i]
		to.host, to.below = strings.ToLower(host), false
		if port != "" {
			to.port = port
		}
		if c.allowed[i].covers(&to) {
			return to.scheme + "://" + to.authority(), true
		}
	}
	return "", false
}

// Allows reports whether the rules let requests go to the server at origin, a URL
// without a path.
func (c *Client) Allows(origin string) bool {
	_, err := c.target(origin)
	return err == nil
}

// parseRule reads a line of the list: scheme://host[:port], where the host may
// be "*." and a name.
func parseRule(text string, private bool) (o origin, err *config.KeyError) {
	refuse := func(hint, format string, args ...any) (origin, *config.KeyError) {
		return origin{}, &config.KeyError{Text: fmt.Sprintf(format, args...), Hint: hint}
	}
	const form = `the form is "https://host" or "https://host:port"; "*." before a name stands for all names below it`
	scheme, rest, found := strings.Cut(text, "://")
	rest, below := strings.CutPrefix(rest, "*.")
	u, bad := url.Parse(scheme + "://" + rest)
	switch {
	case !found || bad != nil || strings.Contains(rest, "*"):
		return refuse(form, "%q isn't the origin of a server", text)
	case u.Path != "" || u.RawQuery != "" || strings.ContainsAny(rest, "?#"):
		return refuse("leave out what follows the host: all paths are allowed", "%q has more than a scheme, a host and a port", text)
	}
	o, bad = originOf(u)
	if bad != nil {
		return refuse(form, "%v", bad)
	}
	o.below = below
	addr, bad := netip.ParseAddr(o.host)
	switch {
	case bad != nil:
		return o, nil
	case below:
		return refuse(form, "%q has names below an address", text)
	case !reachable(addr):
		return refuse("", "%s isn't an address that a server has", addr)
	case !private && !public(addr):
		return refuse("add private = true if the plugin shall reach private addresses", "%s is a private address", addr)
	}
	return o, nil
}

// reachable reports whether a connection to addr makes sense at all.
func reachable(addr netip.Addr) bool {
	addr = addr.Unmap()
	return !addr.IsUnspecified() && !addr.IsMulticast() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// public reports whether addr is of the Internet at large: neither this host, nor
// its networks, nor an address that stands for another one which may be.
func public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if b := addr.As16(); addr.Is6() {
		if netip.MustParsePrefix("64:ff9b::/96").Contains(addr) {
			// RFC 6052: so a network without IPv4 reaches it.
			return public(netip.AddrFrom4([4]byte(b[12:])))
		}
		if b[0]>>5 != 1 {
			return false // RFC 4291, 2.4: what is unicast and global begins with 001
		}
	}
	return !slices.ContainsFunc(privateBlocks[:], func(p netip.Prefix) bool { return p.Contains(addr) })
}

// privateBlocks are the blocks of the special-purpose registries that can't be
// reached from everywhere, but for those of IPv6 outside of 2000::/3. RFC 6890
// and its updates. Only read.
var privateBlocks = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers' translators
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), // link-local, where clouds keep their metadata
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), // 6to4 relays
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/3"), // multicast, reserved, broadcast
	netip.MustParsePrefix("2001::/23"),   // Teredo among others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address in disguise
	netip.MustParsePrefix("3fff::/20"),
}
