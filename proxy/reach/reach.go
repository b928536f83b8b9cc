// Package reach tells the addresses of the Internet at large from those of this
// host and its networks, for requests that somebody else had the gateway send.
package reach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// ErrDenied is for an address that may not be connected to.
var ErrDenied = errors.New("not allowed")

// Range is a choice of addresses.
type Range uint8

// The ranges.
const (
	World Range = iota // public addresses
	Own                // those of this host and its networks
	Both
)

// Including returns World, and Both if private addresses are meant too.
func Including(private bool) Range {
	if private {
		return Both
	}
	return World
}

// Control returns a net.Dialer's ControlContext that lets it connect to the
// addresses of r. It sees an address as it is connected to, after the name was
// looked up: a name may have another one now than a moment ago. Its errors wrap
// ErrDenied.
func Control(r Range) func(ctx context.Context, network, address string, conn syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: the address %s", ErrDenied, address)
		}
		switch addr := to.Addr(); {
		case !Possible(addr):
			return fmt.Errorf("%w: %s isn't an address that a server has", ErrDenied, addr)
		case r == World && !Public(addr):
			return fmt.Errorf("%w: %s is a private address", ErrDenied, addr)
		case r == Own && Public(addr):
			return fmt.Errorf("%w: %s isn't a private address", ErrDenied, addr)
		}
		return nil
	}
}

// Possible reports whether a connection to addr makes sense at all.
func Possible(addr netip.Addr) bool {
	addr = addr.Unmap()
	return !addr.IsUnspecified() && !addr.IsMulticast() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Public reports whether addr is of the Internet at large: neither this host, nor
// its networks, nor an address that stands for another one which may be.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if b := addr.As16(); addr.Is6() {
		if netip.MustParsePrefix("64:ff9b::/96").Contains(addr) {
			// RFC 6052: so a network without IPv4 reaches it.
			return Public(netip.AddrFrom4([4]byte(b[12:])))
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
