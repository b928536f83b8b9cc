//go:build wasip1

package postern

import "unsafe"

func stringAt(s string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}

func bytesAt(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

// read has f fill buf, which it makes larger when it has to: f returns the
// length that it needs and fills nothing that is smaller. It returns nil for
// what isn't there.
func read(buf []byte, f func(at unsafe.Pointer, size uint32) int32) []byte {
	for {
		at, n := bytesAt(buf[:cap(buf)])
		need := int(f(at, n))
		switch {
		case need < 0:
			return nil
		case need == 0:
			return []byte{} // not nil: there is something, and it is empty
		case need <= cap(buf):
			return buf[:need]
		}
		buf = make([]byte, need)
	}
}
