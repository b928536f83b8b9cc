package authorizer

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/sigv4"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// The causes of refusals, for the log.
var (
	errKey      = errors.New("no principal has this access key, or it is disabled")
	errOverride = errors.New("X-HTTP-Method-Override isn't signed")
	errUnsigned = errors.New("the content isn't signed")
	errContent  = errors.New("the content isn't what X-Amz-Content-Sha256 says")
	errCut      = errors.New("the content ends before its last chunk")
)

// takeChunks makes the content what it is without the chunks that it was signed in.
// It still streams: each chunk is checked before anybody gets it.
func takeChunks(ex *proxy.Exchange, check *sigv4.Check, key *sigv4.Key) error {
	in := &ex.In
	source := io.Reader(bytes.NewReader(in.Content))
	if in.Body != nil && !in.Whole {
		source = in.Body
	}
	stream, err := check.Stream(key, source)
	if err != nil {
		return err
	}
	if in.Whole || in.Body == nil {
		content, err := io.ReadAll(stream) // less than there is already
		if err != nil {
			return chunkFault(err)
		}
		in.Content, in.Length, in.Body, in.Whole = content, int64(len(content)), nil, true
	} else {
		in.Length = http1.Unknown
		if length := stream.Length(); length >= 0 {
			in.Length = length
		}
		in.Body = &signedBody{Body: in.Body, stream: stream}
	}
	in.Fields = withoutChunks(in.Fields)
	return nil
}

// signedBody is a body without the chunks that it was signed in.
type signedBody struct {
	proxy.Body // as it comes
	stream     *sigv4.Stream
}

// Read returns content whose signature was right. Its errors are Faults, or those of
// the client's connection.
func (b *signedBody) Read(p []byte) (int, error) {
	n, err := b.stream.Read(p)
	return n, chunkFault(err)
}

// Trailers returns none: what the trailer has is about the chunks.
func (b *signedBody) Trailers() http1.Fields { return nil }

// Continue asks the client to send the content, where it waits for that.
func (b *signedBody) Continue() error {
	if body, ok := b.Body.(interface{ Continue() error }); ok {
		return body.Continue()
	}
	return nil
}

// Abort makes Read fail.
func (b *signedBody) Abort() {
	if body, ok := b.Body.(interface{ Abort() }); ok {
		body.Abort()
	}
}

// chunkFault is what reading chunks failed with as a Fault, or as the error of the
// client's connection that it is.
func chunkFault(err error) error {
	var refused *sigv4.Error
	switch {
	case errors.As(err, &refused):
		return signatureFault(err)
	case err == io.ErrUnexpectedEOF:
		return proxy.Fault{Kind: proxy.BadRequest, Cause: errCut}
	}
	return err
}

// withoutChunks removes from fields, in place, what speaks of chunks.
func withoutChunks(fields http1.Fields) http1.Fields {
	kept := fields[:0]
	for i := range fields {
		f := fields[i]
		switch {
		case f.Known() == http1.ContentLength,
			strings.EqualFold(f.Name, "X-Amz-Content-Sha256"),
			strings.EqualFold(f.Name, "X-Amz-Decoded-Content-Length"),
			strings.EqualFold(f.Name, "X-Amz-Trailer"):
			continue
		case f.Known() == http1.ContentEncoding:
			coding := withoutCoding(f.Value)
			if coding == "" {
				continue
			}
			f = http1.NewField(f.Name, coding)
		}
		kept = append(kept, f)
	}
	return kept
}

// withoutCoding returns a Content-Encoding without aws-chunked.
func withoutCoding(value string) string {
	kept := ""
	for one := range strings.SplitSeq(value, ",") {
		one = strings.Trim(one, " \t")
		if one == "" || strings.EqualFold(one, "aws-chunked") {
			continue
		}
		if kept != "" {
			kept += ", "
		}
		kept += one
	}
	return kept
}
