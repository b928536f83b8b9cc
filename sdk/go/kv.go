//go:build wasip1

package postern

import (
	"time"
	"unsafe"
)

// KVGet returns a value that all instances share, nil if there is none. Grant: kv.
func KVGet(key string) []byte {
	at, n := stringAt(key)
	return read(nil, func(to unsafe.Pointer, size uint32) int32 { return rawKvGet(at, n, to, size) })
}

// KVSet sets a value for ttl; 0 is for as long as there is room. Grant: kv.
func KVSet(key string, value []byte, ttl time.Duration) error {
	at, n := stringAt(key)
	valueAt, valueLen := bytesAt(value)
	return failed(rawKvSet(at, n, valueAt, valueLen, int64(ttl)))
}

// KVDelete removes a value or a counter. Grant: kv.
func KVDelete(key string) error {
	at, n := stringAt(key)
	return failed(rawKvDelete(at, n))
}

// KVAdd adds to a counter, which begins at 0, and returns what it is then. ttl
// counts from its beginning. Grant: kv.
func KVAdd(key string, delta int64, ttl time.Duration) (int64, error) {
	at, n := stringAt(key)
	value := rawKvAdd(at, n, delta, int64(ttl))
	return value, failed(int32(min(value, 0)))
}

// KVCompareAndSet sets a value if it still is old, and reports whether it was; an
// empty old means that there is none. Grant: kv.
func KVCompareAndSet(key string, old, value []byte, ttl time.Duration) (bool, error) {
	at, n := stringAt(key)
	oldAt, oldLen := bytesAt(old)
	valueAt, valueLen := bytesAt(value)
	set := rawKvCas(at, n, oldAt, oldLen, valueAt, valueLen, int64(ttl))
	return set == 1, failed(set)
}
