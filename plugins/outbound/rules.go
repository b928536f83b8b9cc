package outbound

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/reach"
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
	case !reach.Possible(addr):
		return refuse("", "%s isn't an address that a server has", addr)
	case !private && !reach.Public(addr):
		return refuse("add private = true if the plugin shall reach private addresses", "%s is a private address", addr)
	}
	return o, nil
}
