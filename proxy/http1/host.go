package http1

import (
	"net/netip"
	"strings"
)

// maxHost is the longest host name of the DNS in bytes, with a dot at its end.
const maxHost = 254

// ParseHost takes the value of a Host field, or the authority of a target, apart.
// host comes in lower case, an IPv6 address without its brackets, a name without
// a dot at its end; port is "" or a number from 1 to 65535 without leading zeros.
//
// It refuses, with an *Error of status 400, what is legal by RFC 3986 and still
// no name that anything resolves: an empty host or port, percent-encoding, any
// character but letters, digits, "-", "." and "_", empty labels, and IPv6 zones.
// It allocates only when host has upper case.
func ParseHost(s string) (host, port string, err error) {
	host, port, ok := splitHost(s)
	if !ok {
		return "", "", refuse(400, reasonHost)
	}
	return strings.ToLower(host), port, nil
}

// named is a Host field that was taken apart. Nearly always the next request has
// the same one; comparing with it costs a tenth of taking it apart again.
type named struct {
	text       []byte // the field's value, and its lower case behind it
	size       int    // of the value
	name, port string // in the lower case
}

// take returns host and port of value, as ParseHost does, valid until it is called
// with another one.
func (n *named) take(value string) (name, port string, ok bool) {
	if string(n.text[:n.size]) == value && value != "" {
		return n.name, n.port, true
	}
	if _, _, ok := splitHost(value); !ok {
		return "", "", false
	}
	n.size = len(value)
	n.text = append(append(n.text[:0], value...), value...)
	copied := n.text[n.size:]
	for i, c := range copied {
		copied[i] = lower(c)
	}
	n.name, n.port, _ = splitHost(view(copied))
	return n.name, n.port, true
}

// splitHost is ParseHost that leaves the case as it is.
func splitHost(s string) (host, port string, ok bool) {
	if s != "" && s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 || end > len("[0000:0000:0000:0000:0000:0000:255.255.255.255") {
			return "", "", false
		}
		host, s = s[1:end], s[end+1:]
		addr, err := netip.ParseAddr(host)
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", false
		}
	} else {
		end, label := 0, 0
		for ; end < len(s) && classOf[s[end]]&hostByte != 0; end++ {
			if s[end] != '.' {
				continue
			}
			if end == label {
				return "", "", false
			}
			label = end + 1
		}
		if end == 0 || end > maxHost {
			return "", "", false
		}
		host, s = s[:end], s[end:]
		if label == end {
			host = host[:end-1] // the DNS's root
		}
	}
	if s == "" {
		return host, "", true
	}
	if s[0] != ':' || len(s) > len(":65535") {
		return "", "", false
	}
	port = s[1:]
	n, ok := parseLength(port)
	if !ok || port[0] == '0' || n > 65535 {
		return "", "", false
	}
	return host, port, true
}
