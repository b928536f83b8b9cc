package proxy

import "unsafe"

// Arena hands out strings that live as long as one exchange, from memory that
// the next exchange uses again. The zero value is ready to use.
type Arena struct {
	buf []byte
}

// arenaKeep is how much memory an idle exchange keeps, in bytes.
const arenaKeep = 16 << 10

// arenaMin is the room that the next string finds at least, in bytes.
const arenaMin = 128

// Begin returns memory to append a string's bytes to; Finish turns what was
// appended into the string. Only one string is built at a time.
func (a *Arena) Begin() []byte {
	if cap(a.buf)-len(a.buf) < arenaMin {
		// Strings made before keep the old array alive. Twice the size, so that
		// the exchanges after a few find room for all of their strings.
		a.buf = make([]byte, 0, max(4*arenaMin, 2*cap(a.buf)))
	}
	return a.buf[len(a.buf):]
}

// Finish returns b, which grew from Begin's result, as a string.
func (a *Arena) Finish(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if cap(b) == cap(a.buf)-len(a.buf) {
		a.buf = a.buf[:len(a.buf)+len(b)]
	} else {
		// b moved to an array of its own, which stays the string's.
		a.buf = make([]byte, 0, 2*cap(a.buf)+len(b))
	}
	return unsafe.String(&b[0], len(b))
}

// Concat returns the parts joined.
func (a *Arena) Concat(parts ...string) string {
	b := a.Begin()
	for _, p := range parts {
		b = append(b, p...)
	}
	return a.Finish(b)
}

func (a *Arena) reset() {
	if cap(a.buf) > arenaKeep {
		a.buf = nil
		return
	}
	a.buf = a.buf[:0]
}
