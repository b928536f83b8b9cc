package proxy

import (
	"fmt"
	"io"

	"github.com/postern-gateway/postern/proxy/http1"
)

// Body is content that streams. Read follows io.Reader; it returns io.EOF only
// when the content ended where its framing says, and any other error when it
// was cut short. A Body is read by one goroutine at a time.
type Body interface {
	io.Reader
	// Trailers are the trailer fields, complete after io.EOF; usually none.
	Trailers() http1.Fields
}

// Tunnel is the backend's side of a connection that switched protocols.
// Next and Write may be called at the same time by two goroutines.
type Tunnel interface {
	// Next waits for the next bytes, and holds no memory for them while it waits.
	// They are valid until it is called again. io.EOF is the end.
	Next() ([]byte, error)
	io.WriteCloser
	CloseWrite() error
}

// ReadWhole reads the request's body into In.Content, once. It fails with the
// fault RequestTooLarge past limit bytes, and with BadRequest when the client
// broke off. limit is above zero.
func (ex *Exchange) ReadWhole(limit int64) error {
	in := &ex.In
	if in.Whole {
		return nil
	}
	if in.Body == nil {
		in.Whole = true
		return nil
	}
	if in.Length > limit {
		return Fault{Kind: RequestTooLarge}
	}
	buf := ex.scratch[:0]
	if in.Length > int64(cap(buf)) {
		buf = make([]byte, 0, in.Length+1) // one more, so that EOF needs no growth
	} else if cap(buf) == 0 {
		buf = make([]byte, 0, 4096)
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := in.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return Fault{Kind: RequestTooLarge}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			if f, ok := err.(Fault); ok {
				return f
			}
			return Fault{Kind: BadRequest, Cause: fmt.Errorf("read the request body: %w", err)}
		}
	}
	if cap(buf) <= keepScratch {
		ex.scratch = buf
	}
	in.Content, in.Whole = buf, true
	return nil
}

// keepScratch is how much body memory an idle exchange keeps, in bytes.
const keepScratch = 64 << 10
