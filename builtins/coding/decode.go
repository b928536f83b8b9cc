package coding

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// Errors of Decode.
var (
	// ErrUnknown says that a Content-Encoding isn't gzip, deflate or identity.
	ErrUnknown = errors.New("a content coding that isn't gzip, deflate or identity")
	// ErrTooLarge says that the decoded content passes the limit.
	ErrTooLarge = errors.New("the decoded content is too large")

	errMore = errors.New("bytes after the end of the coded content")
)

// Decode returns content without the coding that a Content-Encoding of this value
// names, at most limit bytes of it. It may return content itself. Besides the
// errors above it returns what is wrong with the content.
func Decode(content []byte, value string, limit int64) ([]byte, error) {
	c, err := decodable(value)
	if err != nil || c == identity {
		return content, err
	}
	decoded := bytes.NewBuffer(make([]byte, 0, min(limit, 4*int64(len(content))+512)))
	n, err := io.Copy(decoded, io.LimitReader(&decoder{coding: c, source: bytes.NewReader(content)}, limit+1))
	if n > limit {
		return nil, ErrTooLarge
	}
	return decoded.Bytes(), err
}

// decodable returns the coding that a Content-Encoding names, if it is one that
// requests may have.
func decodable(value string) (coding, error) {
	found := identity
	for value != "" {
		var name string
		name, value, _ = strings.Cut(value, ",")
		name = strings.Trim(name, " \t")
		if name == "" {
			continue
		}
		c, known := named(name)
		switch {
		case known && c == identity:
		// Two of them would be a bomb in a bomb, and nobody sends that.
		case !known || c != gzipCoding && c != deflateCoding || found != identity:
			return identity, ErrUnknown
		default:
			found = c
		}
	}
	return found, nil
}

// decoder takes gzip or deflate off what it reads from source.
type decoder struct {
	coding coding
	source io.Reader

	buffered *bufio.Reader // of source; nil until the first Read
	plain    io.Reader
}

func (d *decoder) Read(b []byte) (int, error) {
	if d.buffered == nil {
		d.buffered = bufio.NewReader(d.source)
		if err := d.open(); err != nil {
			return 0, ended(err)
		}
	}
	n, err := d.plain.Read(b)
	if err == io.EOF {
		if _, more := d.buffered.ReadByte(); more == nil {
			return n, errMore
		} else if more != io.EOF {
			return n, more
		}
		return n, io.EOF
	}
	return n, ended(err)
}

// open begins to decode. What HTTP calls deflate is zlib's format, but there are
// clients that send it without zlib's head. RFC 9110, 8.4.1.2.
func (d *decoder) open() (err error) {
	if d.coding == gzipCoding {
		d.plain, err = gzip.NewReader(d.buffered)
		return err
	}
	head, err := d.buffered.Peek(2)
	if err != nil {
		return err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 { // RFC 1950, 2.2
		d.plain, err = zlib.NewReader(d.buffered)
		return err
	}
	d.plain = flate.NewReader(d.buffered)
	return nil
}

// ended makes an end in the middle an error that nobody takes for the end.
func ended(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
