package meter

import "errors"

var errEnd = errors.New("unexpected end")

// reader takes a module's bytes apart. After an error it stands at the end and
// gives zeros.
type reader struct {
	b   []byte
	pos int
	err error
}

func (r *reader) done() bool { return r.pos >= len(r.b) }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.pos = len(r.b)
}

func (r *reader) byte() byte {
	if r.done() {
		r.fail(errEnd)
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)-r.pos) {
		r.fail(errEnd)
		return nil
	}
	part := r.b[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return part
}

func (r *reader) skip(n uint64) { r.take(n) }

// u32 reads an unsigned LEB128 number.
func (r *reader) u32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 { // nearly always
		c := r.b[r.pos]
		r.pos++
		return uint32(c)
	}
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	r.fail(errors.New("number out of range"))
	return 0
}

// skipLEB skips a LEB128 number of at most most bytes.
func (r *reader) skipLEB(most int) {
	for range most {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail(errors.New("number out of range"))
}

// count reads a vector's length; each element has at least one byte.
func (r *reader) count() uint32 {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail(errEnd)
		return 0
	}
	return n
}

// end reports trailing bytes, and the error that came before.
func (r *reader) end() error {
	if r.err == nil && !r.done() {
		r.fail(errors.New("trailing bytes"))
	}
	return r.err
}

func appendU32(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// readS32 reads a signed LEB128 number of at most five bytes that is whole.
func readS32(b []byte) int32 {
	var v int64
	shift := 0
	for _, c := range b {
		v |= int64(c&0x7f) << shift
		if shift += 7; c < 0x80 {
			if c&0x40 != 0 {
				v |= -1 << shift
			}
			break
		}
	}
	return int32(v)
}

func appendS32(dst []byte, v int32) []byte { return appendS64(dst, int64(v)) }

func appendS64(dst []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(dst, c)
		}
		dst = append(dst, c|0x80)
	}
}

func appendName(dst []byte, name string) []byte {
	return append(appendU32(dst, uint32(len(name))), name...)
}
