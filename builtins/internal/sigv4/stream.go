package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
)

const (
	// maxChunk is the most content of one signed chunk, in bytes: it is held back
	// until its signature was checked. AWS's own clients send 64 KiB to 1 MiB.
	maxChunk = 1 << 20
	// maxChunkLine bounds the line before a chunk, and a line of the trailer.
	maxChunkLine = 1 << 10
	// maxTrailerLines bounds the trailer.
	maxTrailerLines = 16
)

// The first lines of what is signed of a chunk and of a trailer.
const (
	chunkAlgorithm   = "AWS4-HMAC-SHA256-PAYLOAD"
	trailerAlgorithm = "AWS4-HMAC-SHA256-TRAILER"
)

// Stream reads content that comes as chunks, and gives nothing out that wasn't
// checked: each signed chunk as a whole, and all that is declared of the content as a
// whole before its end. One goroutine at a time.
type Stream struct {
	source io.Reader
	signed bool  // the chunks are
	left   int64 // content that is still to come; below 0 if nobody said

	// What the next signature goes on from.
	date, scope, before string
	key                 [sha256.Size]byte

	trailers []string // names that the head declared
	trailer  bool     // there must be one
	sums     checksums

	in    []byte // read and not used yet: in[from:]
	from  int
	ready []byte // a checked chunk's content that wasn't given out yet
	open  int64  // of an unsigned chunk, content that is still to come
	err   error
}

// Chunked reports whether the content comes as chunks.
func (c *Check) Chunked() bool {
	switch c.Payload {
	case SignedChunks, SignedChunksTrailer, UnsignedChunksTrailer:
		return true
	}
	return false
}

// Stream returns the content that source has as chunks. Verify must have agreed
// before. Its errors are io.EOF, *Error when a chunk isn't what was signed, or what
// reading source gave. The error of Stream itself is an *Error.
func (c *Check) Stream(key *Key, source io.Reader) (*Stream, error) {
	s := &Stream{source: source, left: -1, signed: c.Payload != UnsignedChunksTrailer, trailer: c.Payload != SignedChunks}
	length, n := single(c.request.Fields, "X-Amz-Decoded-Content-Length")
	if n > 0 {
		size, err := strconv.ParseUint(length, 10, 63)
		if n > 1 || err != nil {
			return nil, mismatch("")
		}
		s.left = int64(size)
	}
	names, _ := single(c.request.Fields, "X-Amz-Trailer")
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.ToLower(strings.Trim(name, " ")); name == "" {
			continue
		}
		if !s.sums.expect(name) && !s.signed {
			return nil, mismatch("") // nobody would look at it
		}
		s.trailers = append(s.trailers, name)
	}
	s.date, s.scope, s.before = strings.Clone(c.date), strings.Clone(c.scope), strings.Clone(c.signature)
	s.key = key.signing(c.when, c.scope)
	return s, nil
}

// Length returns how much content the head declares, -1 if it doesn't.
func (s *Stream) Length() int64 { return s.left }

// Read gives out content that was checked.
func (s *Stream) Read(b []byte) (int, error) {
	for len(s.ready) == 0 && s.open == 0 && s.err == nil {
		s.err = s.next()
	}
	switch {
	case len(s.ready) > 0:
		n := copy(b, s.ready)
		s.ready = s.ready[n:]
		return n, nil
	case s.err != nil:
		return 0, s.err
	case len(b) == 0:
		return 0, nil
	}
	n, err := s.readOpen(b)
	if err != nil {
		s.err = err
	}
	return n, err
}

// next reads the line before a chunk, and a signed chunk or the end.
func (s *Stream) next() error {
	line, err := s.line()
	if err != nil {
		return err
	}
	digits, extension, extended := strings.Cut(line, ";")
	size, err := strconv.ParseUint(digits, 16, 63)
	signature, named := strings.CutPrefix(extension, "chunk-signature=")
	if err != nil || len(digits) > 16 || named != s.signed || extended != s.signed {
		return mismatch("")
	}
	if s.left >= 0 {
		if s.left -= int64(size); s.left < 0 {
			return mismatch("")
		}
	}
	switch {
	case size == 0:
		return s.end(signature)
	case !s.signed:
		s.open = int64(size)
		return nil
	case size > maxChunk:
		return mismatch("")
	}
	return s.chunk(int(size), signature)
}

// readOpen reads content of an unsigned chunk.
func (s *Stream) readOpen(b []byte) (int, error) {
	if s.from == len(s.in) {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b[:min(int64(len(b)), s.open)], s.in[s.from:])
	s.from += n
	s.sums.write(b[:n])
	if s.open -= int64(n); s.open > 0 {
		return n, nil
	}
	return n, s.lineEnd()
}

// chunk reads and checks a signed chunk.
func (s *Stream) chunk(size int, signature string) error {
	for len(s.in)-s.from < size+2 {
		if err := s.fill(); err != nil {
			return err
		}
	}
	content := s.in[s.from : s.from+size]
	s.from += size
	if err := s.lineEnd(); err != nil {
		return err
	}
	if !s.follows(chunkAlgorithm, signature, content) {
		return mismatch("")
	}
	s.sums.write(content)
	s.ready = content
	return nil
}

// end checks what comes after the last chunk, and that nothing comes after that.
func (s *Stream) end(signature string) error {
	if s.left > 0 || s.signed && !s.follows(chunkAlgorithm, signature, nil) {
		return mismatch("")
	}
	if err := s.readTrailer(); err != nil {
		return err
	}
	if s.from < len(s.in) {
		return mismatch("")
	}
	switch err := s.fill(); err {
	case io.ErrUnexpectedEOF:
		return io.EOF
	case nil:
		return mismatch("")
	default:
		return err
	}
}

// readTrailer reads the lines up to an empty one: each field that was declared once,
// and last the signature.
func (s *Stream) readTrailer() error {
	var text []byte
	seen, signature := 0, ""
	for range maxTrailerLines {
		line, err := s.line()
		if err != nil {
			return err
		}
		if line == "" {
			if seen != len(s.trailers) || !s.sums.good() || s.signed && s.trailer && !s.followsTrailer(signature, text) {
				return mismatch("")
			}
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.Trim(value, " \n") // AWS's own example has LF before CR LF
		switch {
		case signature != "" || !s.trailer:
			return mismatch("")
		case name == "x-amz-trailer-signature" && s.signed:
			signature = value
		case seen == len(s.trailers) || s.trailers[seen] != name || !s.sums.found(name, value):
			return mismatch("")
		default:
			seen++
			text = append(append(append(append(text, name...), ':'), value...), '\n')
		}
	}
	return mismatch("")
}

// follows reports whether signature is that of a chunk with this content, after the
// one before. AWS: "Defining the Chunk Body".
func (s *Stream) follows(what, signature string, content []byte) bool {
	text := append(s.begin(what), EmptyHash+"\n"...)
	return s.isNext(text, signature, content)
}

// followsTrailer is follows for the trailer.
func (s *Stream) followsTrailer(signature string, content []byte) bool {
	return s.isNext(s.begin(trailerAlgorithm), signature, content)
}

// begin returns the lines that all that is signed after the head begins with.
func (s *Stream) begin(what string) []byte {
	text := make([]byte, 0, 384)
	for _, line := range [...]string{what, s.date, s.scope, s.before} {
		text = append(append(text, line...), '\n')
	}
	return text
}

func (s *Stream) isNext(text []byte, signature string, content []byte) bool {
	hash := sha256.Sum256(content)
	s.before = signature
	return isDigest(signature, mac(&s.key, hex.AppendEncode(text, hash[:])))
}

// line reads a line up to its CR LF and returns it without.
func (s *Stream) line() (string, error) {
	for {
		rest := s.in[s.from:]
		if i := bytes.Index(rest, []byte("\r\n")); i >= 0 && i <= maxChunkLine {
			s.from += i + 2
			return string(rest[:i]), nil
		}
		if len(rest) > maxChunkLine {
			return "", mismatch("")
		}
		if err := s.fill(); err != nil {
			return "", err
		}
	}
}

// lineEnd reads the CR LF behind a chunk's content.
func (s *Stream) lineEnd() error {
	for len(s.in)-s.from < 2 {
		if err := s.fill(); err != nil {
			return err
		}
	}
	if s.in[s.from] != '\r' || s.in[s.from+1] != '\n' {
		return mismatch("")
	}
	s.from += 2
	return nil
}

// fill reads more of source behind what is there. The end of source is
// io.ErrUnexpectedEOF: it never comes before the last chunk.
func (s *Stream) fill() error {
	if s.from > 0 && len(s.in) == cap(s.in) {
		s.in = s.in[:copy(s.in, s.in[s.from:])]
		s.from = 0
	}
	if len(s.in) == cap(s.in) {
		s.in = append(make([]byte, 0, max(4096, 2*cap(s.in))), s.in...)
	}
	for {
		n, err := s.source.Read(s.in[len(s.in):cap(s.in)])
		s.in = s.in[:len(s.in)+n]
		switch {
		case n > 0:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}
