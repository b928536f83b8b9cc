package http1

import (
	"bytes"
	"io"
)

// Chunked decodes chunked content (RFC 9112, 7.1). It is a state machine: the
// input may be cut anywhere. Reset it before use; one goroutine at a time.
//
// It is as strict as the rest: sizes are 1 to 16 hexadecimal digits and nothing
// else, lines end with CR LF. Chunk extensions are refused when they break the
// grammar, have white space, are longer than 256 bytes for one chunk, or, all
// together, by more than 4096 bytes longer than the content before them; others
// are skipped. They mean nothing to anyone, so they are never passed on.
type Chunked struct {
	state    chunkState
	digits   int    // of the size being read
	size     uint64 // bytes left of the chunk
	extended int    // bytes of the chunk's extensions
	spare    int    // bytes of extensions that may still come

	limits    Limits
	section   []byte // the trailer section
	line      int    // index of its last line
	trailers  Fields
	violation *Error
}

// chunkState is what the next byte has to be.
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkName            // first byte of an extension's name
	chunkInName
	chunkValue // first byte of an extension's value
	chunkInValue
	chunkQuoted
	chunkEscaped
	chunkQuoteEnd
	chunkSizeLF
	chunkContent
	chunkContentCR
	chunkContentLF
	chunkTrailers
	chunkDone
)

const (
	maxChunkDigits    = 16
	maxChunkExtension = 256
	spareExtension    = 4096
)

// Reset makes c ready for another content whose trailer section is bounded by
// lim (nil means the defaults). It keeps memory; the trailer fields of the last
// content are gone.
func (c *Chunked) Reset(lim *Limits) {
	*c = Chunked{
		limits:   lim.orDefault(),
		spare:    spareExtension,
		section:  c.section[:0],
		trailers: c.trailers[:0],
	}
}

// Decode decodes src into dst: ns bytes of src are used up, and gave nd bytes of
// content. It goes on until dst is full and content comes next, or src is at its
// end. dst may be the memory at the start of src.
//
// The error is io.EOF behind the trailer section (nd may be above zero; the rest
// of src is not part of the message), an *Error when the coding is broken, and
// then for good, or nil: call again, with more of src or of dst.
func (c *Chunked) Decode(dst, src []byte) (nd, ns int, err error) {
	for c.violation == nil && c.state != chunkDone && ns < len(src) {
		switch c.state {
		case chunkContent:
			n := min(len(src)-ns, len(dst)-nd)
			if uint64(n) > c.size {
				n = int(c.size)
			}
			if n == 0 {
				return nd, ns, nil
			}
			copy(dst[nd:], src[ns:ns+n])
			nd += n
			ns += n
			c.size -= uint64(n)
			if c.size == 0 {
				c.state = chunkContentCR
			}
		case chunkTrailers:
			ns += c.readTrailers(src[ns:])
		default:
			c.step(src[ns])
			ns++
		}
	}
	if c.violation != nil {
		return nd, ns, c.violation
	}
	if c.state == chunkDone {
		return nd, ns, io.EOF
	}
	return nd, ns, nil
}

// Trailers returns the trailer fields once Decode has returned io.EOF, without
// those that no trailer section may have. They are views of c's memory, valid
// until Reset.
func (c *Chunked) Trailers() Fields {
	if c.state != chunkDone {
		return nil
	}
	return c.trailers
}

// step takes one byte that belongs neither to content nor to a trailer.
func (c *Chunked) step(b byte) {
	switch c.state {
	case chunkSize:
		c.stepSize(b)
	case chunkSizeLF:
		c.want(b, '\n', reasonBareCR, chunkContent)
		if c.state == chunkContent && c.size == 0 {
			c.state = chunkTrailers
		}
		c.digits, c.extended = 0, 0
	case chunkContentCR:
		c.want(b, '\r', "chunk longer than its size", chunkContentLF)
	case chunkContentLF:
		c.want(b, '\n', reasonBareCR, chunkSize)
	default:
		c.stepExtension(b)
	}
}

// want goes to the next state if b is expected, and breaks off otherwise.
func (c *Chunked) want(b, expected byte, reason string, next chunkState) {
	if b != expected {
		c.fail(reason)
		return
	}
	c.state = next
}

func (c *Chunked) fail(reason string) {
	c.violation = refuse(400, reason)
}

func (c *Chunked) stepSize(b byte) {
	d := hexDigit(b)
	if d < 16 {
		if c.digits++; c.digits > maxChunkDigits {
			c.fail("chunk size too long")
			return
		}
		c.size = c.size<<4 | uint64(d)
		return
	}
	switch {
	case c.digits == 0 || b != '\r' && b != ';':
		c.fail("invalid chunk size")
	case c.size > 1<<63-1:
		c.fail("chunk size too large")
	case b == ';':
		c.countExtension()
		c.state = chunkName
	default:
		c.spare = int(min(uint64(c.spare)+c.size, spareExtension))
		c.state = chunkSizeLF
	}
}

func (c *Chunked) countExtension() {
	c.extended++
	c.spare--
	if c.extended > maxChunkExtension || c.spare < 0 {
		c.fail("chunk extensions too long")
	}
}

// stepExtension walks through *( ";" token [ "=" ( token / quoted-string ) ] ).
func (c *Chunked) stepExtension(b byte) {
	if b == '\r' && (c.state == chunkInName || c.state == chunkInValue || c.state == chunkQuoteEnd) {
		c.spare = int(min(uint64(c.spare)+c.size, spareExtension))
		c.state = chunkSizeLF
		return
	}
	c.countExtension()
	token := classOf[b]&tokenByte != 0
	quotable := b >= ' ' && b != 0x7f || b == '\t'
	next := chunkDone // stands for: not allowed here
	switch c.state {
	case chunkName, chunkInName:
		switch {
		case token:
			next = chunkInName
		case c.state == chunkInName && b == '=':
			next = chunkValue
		case c.state == chunkInName && b == ';':
			next = chunkName
		}
	case chunkValue, chunkInValue:
		switch {
		case token:
			next = chunkInValue
		case c.state == chunkValue && b == '"':
			next = chunkQuoted
		case c.state == chunkInValue && b == ';':
			next = chunkName
		}
	case chunkQuoted:
		switch {
		case b == '"':
			next = chunkQuoteEnd
		case b == '\\':
			next = chunkEscaped
		case quotable:
			next = chunkQuoted
		}
	case chunkEscaped:
		if quotable {
			next = chunkQuoted
		}
	case chunkQuoteEnd:
		if b == ';' {
			next = chunkName
		}
	}
	if next == chunkDone {
		c.fail("invalid chunk extension")
		return
	}
	c.state = next
}

// hexDigit returns the value of b, or more than 15.
func hexDigit(b byte) byte {
	if d := b - '0'; d < 10 {
		return d
	}
	if d := (b | 0x20) - 'a'; d < 6 {
		return d + 10
	}
	return 0xff
}

// readTrailers copies the trailer section up to its end, as src is gone when
// somebody wants to see it, and returns how many bytes of src belong to it.
func (c *Chunked) readTrailers(src []byte) (n int) {
	bound := c.limits.Head + 2
	for n < len(src) {
		part := src[n:]
		if i := bytes.IndexByte(part, '\n'); i >= 0 {
			part = part[:i+1]
		}
		part = part[:min(len(part), bound-len(c.section))]
		c.section = append(c.section, part...)
		n += len(part)
		line := c.section[c.line:]
		if line[len(line)-1] == '\n' {
			c.line = len(c.section)
			if len(line) <= 2 || line[len(line)-2] != '\r' { // empty or wrong
				c.endTrailers(bound)
				return n
			}
		}
		if len(c.section) == bound {
			c.endTrailers(bound)
			return n
		}
	}
	return n
}

// endTrailers parses the section and drops what may not stand in it.
func (c *Chunked) endTrailers(bound int) {
	fields, end, err := parseFields(c.trailers[:0], c.section, 0, bound, &c.limits, nil)
	if err == nil && end == 0 {
		err = refuse(400, reasonBareLF)
	}
	if err != nil {
		c.violation = err
		return
	}
	c.trailers = fields[:0]
	for _, f := range fields {
		if !ForbiddenTrailer(&f) {
			c.trailers = append(c.trailers, f)
		}
	}
	c.state = chunkDone
}

// ForbiddenTrailer reports whether f would be harmful if somebody merged it into
// the header: framing, routing, authentication, request modifiers, controls and
// content description. RFC 9110, 6.5.1.
func ForbiddenTrailer(f *Field) bool {
	switch f.Known() {
	case Other, Via, XAmznTraceID:
	default:
		return true
	}
	if len(f.Name) > 1 && (f.Name[0] == 'x' || f.Name[0] == 'X') && f.Name[1] == '-' {
		return len(f.Name) > 12 && equalFold(f.Name[:12], "X-Forwarded-") || equalFold(f.Name, "X-Real-IP")
	}
	for _, name := range forbiddenTrailers {
		if equalFold(f.Name, name) {
			return true
		}
	}
	return false
}

// forbiddenTrailers are those without a number; the list is only read.
var forbiddenTrailers = [...]string{
	"Age", "Cache-Control", "Content-Disposition", "Content-Language", "Content-Location",
	"Content-Range", "Expires", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
	"If-Unmodified-Since", "Location", "Pragma", "Range", "Retry-After", "Set-Cookie", "Vary",
}
