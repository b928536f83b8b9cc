// Package clients tells clients apart by their addresses, and bounds how often and
// how many at once they come.
package clients

import "net/netip"

// Key is what tells clients apart: an IPv4 address, or the /64 of an IPv6
// address, since one customer has at least that many.
type Key uint64

// KeyOf returns addr's key; ok is false when there is no address.
func KeyOf(addr netip.Addr) (key Key, ok bool) {
	switch addr = addr.Unmap(); {
	case addr.Is4():
		b := addr.As4()
		// Above 2^32 and below every IPv6 address that anybody has: RFC 4291, 2.4.
		return 1<<32 | Key(b[0])<<24 | Key(b[1])<<16 | Key(b[2])<<8 | Key(b[3]), true
	case addr.Is6():
		b := addr.As16()
		for _, octet := range b[:8] {
			key = key<<8 | Key(octet)
		}
		return key, true
	}
	return 0, false
}
