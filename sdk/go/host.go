//go:build wasip1

package postern

import "unsafe"

//go:wasmimport postern_v1 field_get
func fieldGet(field int32, at unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 map_count
func mapCount(m int32) int32

//go:wasmimport postern_v1 map_get
func mapGet(m int32, name unsafe.Pointer, nameLen uint32, at unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 map_entry
func mapEntry(m int32, index uint32, name unsafe.Pointer, nameSize uint32, value unsafe.Pointer, valueSize uint32) int64

//go:wasmimport postern_v1 principal_set
func principalSet(at unsafe.Pointer, n uint32) int32

//go:wasmimport postern_v1 context_set
func contextSet(name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32) int32

//go:wasmimport postern_v1 event_read
func eventRead(at unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 result_write
func resultWrite(at unsafe.Pointer, n uint32) int32

//go:wasmimport postern_v1 config_read
func configRead(at unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 log
func log(level int32, at unsafe.Pointer, n uint32) int32

//go:wasmimport postern_v1 log_enabled
func logEnabled(level int32) int32

//go:wasmimport postern_v1 deadline_left
func deadlineLeft() int64

//go:wasmimport postern_v1 fail
func fail(code int32, at unsafe.Pointer, n uint32) int32

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
		case need <= cap(buf):
			return buf[:need]
		}
		buf = make([]byte, need)
	}
}
