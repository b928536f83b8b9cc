package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// ParsePrefix reads an address, which stands for itself, or a prefix such as
// "10.0.0.0/8". IPv4 in IPv6 becomes IPv4; zones and set host bits are errors.
func ParsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		if addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q has a zone", s)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a prefix", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its length: %s", s, p.Masked())
	}
	if addr := p.Addr(); addr.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q is wider than IPv4 in IPv6", s)
		}
		return netip.PrefixFrom(addr.Unmap(), p.Bits()-96), nil
	}
	return p, nil
}

// prefixes checks the addresses and prefixes of the listeners.
func (x *crosser) prefixes(name string) {
	l := x.cfg.Listen[name]
	x.prefixList([]string{"listen", name, "trusted_proxies"}, l.TrustedProxies)
	if l.ProxyProtocol != nil {
		x.prefixList([]string{"listen", name, "proxy_protocol", "from"}, l.ProxyProtocol.From)
	}
	if len(l.TrustedProxies) == 0 && l.TrustForwardedHost && !x.lost("listen", name, "trusted_proxies") {
		x.key([]string{"listen", name, "trust_forwarded_host"}, "nobody is trusted: trusted_proxies is empty", `add trusted_proxies = ["10.0.0.0/8"]`)
	}
}

func (x *crosser) prefixList(path []string, list []string) {
	for i, text := range list {
		at := append(slices.Clone(path), strconv.Itoa(i))
		if x.spoiled[joined(at)] {
			continue
		}
		if _, err := ParsePrefix(text); err != nil {
			x.value(at, "", err.Error(), `write "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32"`)
		}
	}
}
