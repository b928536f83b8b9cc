package coding

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Kind returns the kind that codes the content of every route: with
// minimum_compression_size of its API in both directions, else none.
func Kind() proxy.Kind {
	lent := &encoders{}
	return proxy.Kind{Name: "coding", Role: proxy.CodingKind, New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		return newSteps(lent, o.Config.API[b.Route.Stage.API.Name])
	}}
}

func newSteps(lent *encoders, api config.API) (proxy.Steps, error) {
	steps := proxy.Steps{proxy.MethodRequest: decode{}}
	if api.MinimumCompressionSize != nil {
		steps[proxy.MethodResponse] = &encode{minimum: int64(*api.MinimumCompressionSize), lent: lent}
	}
	return steps, nil
}

// decode takes the coding off a request.
type decode struct{}

// Run makes In what the client would have sent without a coding. AWS: codings
// other than gzip, deflate and identity are 415, and so is what isn't coded so.
func (decode) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	in := &ex.In
	value, coded := contentEncoding(in.Fields)
	if !coded {
		return proxy.Continue, nil
	}
	c, err := decodable(value)
	if err != nil {
		return proxy.Continue, unsupported(err)
	}
	switch {
	case c == identity || in.Body == nil && len(in.Content) == 0:
	case in.Whole:
		content, err := Decode(in.Content, value, ex.BodyLimit())
		switch {
		case err == ErrTooLarge:
			return proxy.Continue, proxy.Fault{Kind: proxy.RequestTooLarge, Cause: err}
		case err != nil:
			return proxy.Continue, unsupported(err)
		}
		in.Content, in.Length, in.Body = content, int64(len(content)), nil
	default:
		in.Body = &decodedBody{Body: in.Body, decoder: decoder{coding: c, source: in.Body}, left: ex.BodyLimit()}
		in.Length = http1.Unknown
	}
	kept := in.Fields[:0]
	for i := range in.Fields {
		if k := in.Fields[i].Known(); k != http1.ContentEncoding && k != http1.ContentLength {
			kept = append(kept, in.Fields[i])
		}
	}
	in.Fields = kept
	return proxy.Continue, nil
}

func unsupported(cause error) proxy.Fault {
	return proxy.Fault{Kind: proxy.UnsupportedMediaType, Cause: cause}
}

// contentEncoding returns the coding of a message, of several fields together.
func contentEncoding(fields http1.Fields) (value string, found bool) {
	for i := range fields {
		if fields[i].Known() != http1.ContentEncoding {
			continue
		}
		if found { // rare enough for memory of its own
			value += "," + fields[i].Value
			continue
		}
		value, found = fields[i].Value, true
	}
	return value, found
}

// decodedBody is a request's body without its coding.
type decodedBody struct {
	proxy.Body // as it comes
	decoder    decoder
	left       int64 // so many bytes more may be decoded
}

// Read returns decoded content. Its errors are Faults.
func (d *decodedBody) Read(b []byte) (int, error) {
	n, err := d.decoder.Read(b)
	if d.left -= int64(n); d.left < 0 {
		return 0, proxy.Fault{Kind: proxy.RequestTooLarge, Cause: ErrTooLarge}
	}
	if _, is := err.(proxy.Fault); err == nil || err == io.EOF || is {
		return n, err
	}
	return n, unsupported(err)
}

// Continue asks the client to send the content, where it waits for that.
func (d *decodedBody) Continue() error {
	if body, ok := d.Body.(interface{ Continue() error }); ok {
		return body.Continue()
	}
	return nil
}

// Abort makes Read fail.
func (d *decodedBody) Abort() {
	if body, ok := d.Body.(interface{ Abort() }); ok {
		body.Abort()
	}
}

// encode compresses replies.
type encode struct {
	minimum int64
	lent    *encoders
}

// Run gives the reply the coding that the client prefers. AWS: not for content
// that is coded already, and not for less than the minimum.
func (e *encode) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	reply := &ex.Reply
	if !e.worth(reply, ex.In.Method == "HEAD") {
		return proxy.Continue, nil
	}
	// What the reply is depends on Accept-Encoding, also if this one stays plain.
	if !variesAlready(reply.Fields) {
		reply.Fields.Add("Vary", "Accept-Encoding")
	}
	c := accepted(acceptEncoding(ex))
	switch {
	case c == identity || reply.Status == 304:
		return proxy.Continue, nil
	case ex.In.Method == "HEAD":
		reply.Length = 0 // nobody knows what GET would get
	case reply.Body != nil:
		stream := &encodedBody{Body: reply.Body, lent: e.lent, coding: c, encoder: e.lent.take(c)}
		stream.encoder.Reset(&stream.ready)
		ex.OnDone(stream.release)
		reply.Body, reply.Length = stream, http1.Unknown
	default:
		content := e.compress(ex, c)
		if len(content) >= len(reply.Content) {
			return proxy.Continue, nil
		}
		reply.Content, reply.Length = content, int64(len(content))
	}
	coded(ex, c)
	return proxy.Continue, nil
}

// worth reports whether a reply is one that may be compressed.
func (e *encode) worth(reply *proxy.Response, head bool) bool {
	size := reply.Length
	switch {
	case reply.Status == 101, reply.Status == 204, reply.Status == 205, reply.Status == 206:
		return false
	case reply.Status == 304:
		return true // for Vary
	case reply.Body == nil && !head:
		size = int64(len(reply.Content))
		if size == 0 {
			return false
		}
	}
	if size != http1.Unknown && size < e.minimum || size == 0 && head {
		return false
	}
	for i := range reply.Fields {
		f := &reply.Fields[i]
		switch f.Known() {
		case http1.ContentEncoding, http1.ContentMD5:
			return false
		case http1.ContentType:
			if compressed(f.Value) {
				return false
			}
		case http1.Other:
			switch {
			case is(f, "cache-control") && strings.Contains(strings.ToLower(f.Value), "no-transform"), // RFC 9111, 5.2.2.6
				is(f, "content-range"), is(f, "digest"), is(f, "content-digest"), is(f, "repr-digest"):
				return false
			}
		}
	}
	return true
}

// compressed reports whether content of this type is so small already that
// compressing it only takes time.
//
// Differs from AWS, which compresses everything: nobody can tell but by the bill.
func compressed(contentType string) bool {
	t := proxy.FirstMediaType(contentType)
	kind, subtype, _ := strings.Cut(t, "/")
	switch len(kind) {
	case 5:
		if strings.EqualFold(kind, "image") {
			return !strings.EqualFold(subtype, "svg+xml") && !strings.EqualFold(subtype, "bmp") && !strings.EqualFold(subtype, "x-icon")
		}
		return strings.EqualFold(kind, "video") || strings.EqualFold(kind, "audio")
	case 11:
		switch strings.ToLower(subtype) {
		case "zip", "gzip", "x-gzip", "zstd", "x-bzip2", "x-xz", "x-7z-compressed", "x-rar-compressed", "grpc", "grpc+proto":
			return true
		}
	case 4:
		return strings.HasPrefix(subtype, "woff")
	}
	return false
}

func is(f *http1.Field, lower string) bool {
	return len(f.Name) == len(lower) && strings.EqualFold(f.Name, lower)
}

func acceptEncoding(ex *proxy.Exchange) string {
	value := ""
	for i := range ex.In.Fields {
		if f := &ex.In.Fields[i]; is(f, "accept-encoding") {
			if value == "" {
				value = f.Value
				continue
			}
			value = ex.Text.Concat(value, ",", f.Value)
		}
	}
	return value
}

// variesAlready reports whether Vary says all that there is to say.
func variesAlready(fields http1.Fields) bool {
	for i := range fields {
		if !is(&fields[i], "vary") {
			continue
		}
		for rest := fields[i].Value; rest != ""; {
			var name string
			name, rest, _ = strings.Cut(rest, ",")
			if name = strings.Trim(name, " \t"); name == "*" || strings.EqualFold(name, "accept-encoding") {
				return true
			}
		}
	}
	return false
}

// coded makes the reply's fields tell of the coding. RFC 9110, 8.8.3.3: with
// another coding it is another representation, so a strong ETag becomes weak.
func coded(ex *proxy.Exchange, c coding) {
	kept := ex.Reply.Fields[:0]
	for _, f := range ex.Reply.Fields {
		switch {
		case f.Known() == http1.ContentLength, is(&f, "accept-ranges"):
			continue
		case is(&f, "etag") && strings.HasPrefix(f.Value, `"`):
			f.Value = ex.Text.Concat("W/", f.Value)
		}
		kept = append(kept, f)
	}
	ex.Reply.Fields = http1.AppendKnown(kept, http1.ContentEncoding, c.name())
}

// compress returns the reply's content compressed; the memory is lent until the
// exchange is done.
func (e *encode) compress(ex *proxy.Exchange, c coding) []byte {
	out := e.lent.buffer()
	ex.OnDone(out.done)
	encoder := e.lent.take(c)
	encoder.Reset(&out.Buffer)
	_, _ = encoder.Write(ex.Reply.Content) // a buffer takes everything
	_ = encoder.Close()
	e.lent.give(c, encoder)
	return out.Bytes()
}

// encodedBody is a reply's body compressed as it comes.
type encodedBody struct {
	proxy.Body // as it comes
	lent       *encoders
	coding     coding
	encoder    encoder

	ready bytes.Buffer // compressed, not read yet
	plain []byte
	err   error // of Body
}

// plainRoom is how much content is compressed at a time, in bytes.
const plainRoom = 16 << 10

// Read returns compressed content. What has come so far is never held back for
// what comes later, so that events arrive when they happen.
func (b *encodedBody) Read(to []byte) (int, error) {
	if b.plain == nil {
		b.plain = make([]byte, plainRoom)
	}
	for b.ready.Len() == 0 {
		if b.err != nil {
			return 0, b.err
		}
		n, err := b.Body.Read(b.plain)
		if n > 0 {
			_, _ = b.encoder.Write(b.plain[:n]) // a buffer takes everything
		}
		switch {
		case err == io.EOF:
			_ = b.encoder.Close()
			b.err = err
		case err != nil:
			// No end: a cut reply must not look whole.
			return 0, err
		case n < len(b.plain):
			_ = b.encoder.Flush()
		}
	}
	return b.ready.Read(to)
}

// release gives the encoder back when the exchange is done.
func (b *encodedBody) release() {
	b.lent.give(b.coding, b.encoder)
	b.encoder = nil
}
