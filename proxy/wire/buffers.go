// Package wire holds buffered connections whose time limits cost next to
// nothing while traffic flows. It knows sockets and time, but no HTTP.
package wire

import "sync"

// The buffer sizes that are pooled, in bytes.
const (
	Small  = 4 << 10
	Medium = 16 << 10
	Large  = 64 << 10
)

// Buffers lends byte slices, so that a connection that waits holds none. The
// zero value is ready to use. Safe for concurrent use.
type Buffers struct {
	// Poison overwrites what is given back. It is set before the first use, by
	// tests that look for strings that are used for too long.
	Poison bool

	small, medium, large sync.Pool
}

// Take returns a slice with at least size bytes of capacity and length. Sizes
// above Large aren't pooled.
func (b *Buffers) Take(size int) []byte {
	switch {
	case size <= Small:
		if p, _ := b.small.Get().(*[Small]byte); p != nil {
			return p[:]
		}
		return new([Small]byte)[:]
	case size <= Medium:
		if p, _ := b.medium.Get().(*[Medium]byte); p != nil {
			return p[:]
		}
		return new([Medium]byte)[:]
	case size <= Large:
		if p, _ := b.large.Get().(*[Large]byte); p != nil {
			return p[:]
		}
		return new([Large]byte)[:]
	}
	return make([]byte, size)
}

// Give returns a slice that Take lent. The caller doesn't use it afterwards.
func (b *Buffers) Give(buf []byte) {
	if b.Poison {
		buf = buf[:cap(buf)]
		for i := range buf {
			buf[i] = 0xDB
		}
	}
	switch cap(buf) {
	case Small:
		b.small.Put((*[Small]byte)(buf[:Small]))
	case Medium:
		b.medium.Put((*[Medium]byte)(buf[:Medium]))
	case Large:
		b.large.Put((*[Large]byte)(buf[:Large]))
	}
}
