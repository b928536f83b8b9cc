// Package coding takes content codings (gzip, deflate, br, zstd) off requests
// and puts them on replies. AWS: "Enable payload compression for an API".
package coding

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// coding is a content coding that replies can have. RFC 9110, 8.4.1; RFC 8878, RFC 7932.
type coding uint8

// The codings, in the order in which the gateway prefers them where a client
// has no preference: by what they save for the time that they take.
const (
	identity coding = iota
	zstandard
	brotliCoding
	gzipCoding
	deflateCoding

	codings
)

// name returns the coding's name in Content-Encoding.
func (c coding) name() string {
	switch c {
	case zstandard:
		return "zstd"
	case brotliCoding:
		return "br"
	case gzipCoding:
		return "gzip"
	case deflateCoding:
		return "deflate"
	}
	return "identity"
}

// named returns the coding called name, which may be any.
func named(name string) (c coding, known bool) {
	switch len(name) {
	case 2:
		return brotliCoding, strings.EqualFold(name, "br")
	case 4:
		if strings.EqualFold(name, "gzip") {
			return gzipCoding, true
		}
		return zstandard, strings.EqualFold(name, "zstd")
	case 6:
		return gzipCoding, strings.EqualFold(name, "x-gzip") // RFC 9110, 8.4.1.3
	case 7:
		return deflateCoding, strings.EqualFold(name, "deflate")
	case 8:
		return identity, strings.EqualFold(name, "identity")
	}
	return identity, false
}

// accepted returns the coding that a client with this Accept-Encoding gets.
// AWS: it must be named, "*" names none, and what the client prefers counts. Of
// several with one weight it is the gateway's first. RFC 9110, 12.5.3.
func accepted(value string) coding {
	best, bestWeight := identity, 0
	plain := 0 // weight of identity
	for value != "" {
		var item string
		item, value, _ = strings.Cut(value, ",")
		name, params, _ := strings.Cut(item, ";")
		c, known := named(strings.Trim(name, " \t"))
		if !known {
			continue
		}
		weight := weightOf(params)
		switch {
		case c == identity:
			plain = weight
		case weight > bestWeight, weight == bestWeight && weight > 0 && c < best:
			best, bestWeight = c, weight
		}
	}
	if plain > bestWeight {
		return identity
	}
	return best
}

// weightOf returns q in thousandths, 1000 without one, and 0 for what isn't one.
// RFC 9110, 12.4.2.
func weightOf(params string) int {
	q := strings.Trim(params, " \t")
	if q == "" {
		return 1000
	}
	if len(q) < 3 || q[0]|0x20 != 'q' || q[1] != '=' {
		return 0
	}
	q = q[2:]
	if q[0] == '1' {
		return 1000
	}
	if q[0] != '0' {
		return 0
	}
	weight := 0
	for i := range 3 {
		weight *= 10
		if i+2 < len(q) && '0' <= q[i+2] && q[i+2] <= '9' {
			weight += int(q[i+2] - '0')
		}
	}
	return weight
}

// encoder compresses.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// How hard encoders try: so that a reply takes less time to compress than
// it takes to send. The window of zstd stays below the 8 MiB that browsers allow.
const (
	gzipLevel   = 5
	brotliLevel = 4
	zstdWindow  = 512 << 10
)

func newEncoder(c coding) encoder {
	switch c {
	case zstandard:
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	case brotliCoding:
		return brotli.NewWriterLevel(nil, brotliLevel)
	case gzipCoding:
		e, err := gzip.NewWriterLevel(nil, gzipLevel)
		if err != nil {
			panic(err) // the level is a constant
		}
		return e
	}
	e, err := zlib.NewWriterLevel(nil, gzipLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	return e
}

// encoders lends encoders, which have much memory, to one goroutine at a time.
type encoders struct {
	free    [codings]sync.Pool
	buffers sync.Pool // of *buffer
}

// buffer is memory for compressed content.
type buffer struct {
	bytes.Buffer
	done func() // gives it back
}

// bufferKeep is how large a buffer may be to be used again, in bytes.
const bufferKeep = 1 << 20

func (e *encoders) buffer() *buffer {
	if b, ok := e.buffers.Get().(*buffer); ok {
		b.Reset()
		return b
	}
	b := &buffer{}
	b.done = func() {
		if b.Cap() <= bufferKeep {
			e.buffers.Put(b)
		}
	}
	return b
}

func (e *encoders) take(c coding) encoder {
	if free, ok := e.free[c].Get().(encoder); ok {
		return free
	}
	return newEncoder(c)
}

// give takes an encoder back. It may be in the middle of something.
func (e *encoders) give(c coding, used encoder) {
	used.Reset(nil)
	e.free[c].Put(used)
}
