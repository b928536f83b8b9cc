package proxy

import "encoding/binary"

// AppendHex appends v as 16 hexadecimal digits. The digits are made side by
// side in one word: BenchmarkAppendHex compares with one after the other, which
// counted in the ids that every exchange gets.
func AppendHex(dst []byte, v uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, HexDigits(uint32(v>>32)))
	return binary.BigEndian.AppendUint64(dst, HexDigits(uint32(v)))
}

// HexDigits returns the eight hexadecimal digits of v, the first one in the highest byte.
func HexDigits(v uint32) uint64 {
	x := uint64(v)
	x = (x<<16 | x) & 0x0000ffff0000ffff
	x = (x<<8 | x) & 0x00ff00ff00ff00ff
	x = (x<<4 | x) & 0x0f0f0f0f0f0f0f0f
	// A nibble above 9 carries into the bit above it when 6 is added.
	letters := (x + 0x0606060606060606) >> 4 & 0x0101010101010101
	return x + 0x3030303030303030 + letters*('a'-'0'-10)
}
