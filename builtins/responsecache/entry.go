package responsecache

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"strings"
	"time"
	"unsafe"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// entry is what is kept under a key. It never changes.
type entry struct {
	status  int // 0: the entry is no answer, but says what to look for
	fields  http1.Fields
	content []byte
	sealed  []byte // fields and content, encrypted; nil for those that aren't

	// vary names the request's fields that tell answers with the same key apart. An entry
	// of status 0 that has some says that the answer is under a key with their values.
	vary []string
	// pass is an entry of status 0 that says that answers aren't kept: requests needn't wait
	// for each other.
	pass bool
	// public is an answer for everybody, as the backend says itself.
	public bool

	fresh freshness
}

// newEntry returns an answer in memory of its own.
func newEntry(status int, fields http1.Fields, content []byte) *entry {
	size := 0
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value)
	}
	var text strings.Builder
	text.Grow(size)
	own := func(s string) string {
		at := text.Len()
		text.WriteString(s)
		return text.String()[at:]
	}
	e := &entry{status: status, content: append(make([]byte, 0, len(content)), content...), fields: make(http1.Fields, len(fields))}
	for i := range fields {
		e.fields[i] = http1.NewField(own(fields[i].Name), own(fields[i].Value))
	}
	return e
}

// size returns how many bytes e takes.
func (e *entry) size() int {
	const perField = int(unsafe.Sizeof(http1.Field{}))
	n := int(unsafe.Sizeof(*e)) + len(e.content) + len(e.sealed) + len(e.fields)*perField
	for i := range e.fields {
		n += len(e.fields[i].Name) + len(e.fields[i].Value)
	}
	for _, name := range e.vary {
		n += len(name) + 16
	}
	return n
}

// seal encrypts what e holds of the answer.
func (e *entry) seal(m *Memory) {
	plain := binary.AppendUvarint(nil, uint64(len(e.fields)))
	for i := range e.fields {
		for _, s := range [...]string{e.fields[i].Name, e.fields[i].Value} {
			plain = append(binary.AppendUvarint(plain, uint64(len(s))), s...)
		}
	}
	plain = append(plain, e.content...)
	nonce := make([]byte, m.sealer.NonceSize(), m.sealer.NonceSize()+len(plain)+m.sealer.Overhead())
	_, _ = rand.Read(nonce) // it never fails
	e.sealed = m.sealer.Seal(nonce, nonce, plain, nil)
	e.fields, e.content = nil, nil
}

// open returns the fields of e, appended to dst, and its content. It fails for what isn't what
// was sealed, which nothing but broken memory brings about.
func (e *entry) open(m *Memory, dst http1.Fields) (fields http1.Fields, content []byte, ok bool) {
	if e.sealed == nil {
		return append(dst, e.fields...), e.content, true
	}
	n := m.sealer.NonceSize()
	plain, err := m.sealer.Open(nil, e.sealed[:n], e.sealed[n:], nil)
	if err != nil {
		return dst, nil, false
	}
	next := func() string {
		size, n := binary.Uvarint(plain)
		s := plain[n : n+int(size)]
		plain = plain[n+int(size):]
		return unsafe.String(unsafe.SliceData(s), len(s)) // nobody changes plain
	}
	count, n := binary.Uvarint(plain)
	plain = plain[n:]
	for range count {
		name := next()
		dst = append(dst, http1.NewField(name, next()))
	}
	return dst, plain, true
}

// readWhole reads the content of r into r.Content if it has at most limit bytes, so that it
// can be kept, and reports whether it is all there. Otherwise the content still streams.
func readWhole(r *proxy.Response, limit int64) (all bool, err error) {
	if r.Body == nil {
		return int64(len(r.Content)) <= limit, nil
	}
	if r.Length > limit {
		return false, nil
	}
	buf := make([]byte, 0, max(512, r.Length+1)) // one more, so that its end needs no growth
	for int64(len(buf)) <= limit {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			if len(r.Body.Trailers()) > 0 || int64(len(buf)) > limit {
				break // an answer with trailers streams, so that they go out
			}
			r.Content, r.Body, r.Length = buf, nil, int64(len(buf))
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	r.Body = &resumed{begin: buf, rest: r.Body}
	return false, nil
}

// resumed is content whose beginning was read already.
type resumed struct {
	begin []byte
	rest  proxy.Body
}

// Read implements io.Reader.
func (r *resumed) Read(p []byte) (int, error) {
	if len(r.begin) > 0 {
		n := copy(p, r.begin)
		r.begin = r.begin[n:]
		return n, nil
	}
	return r.rest.Read(p)
}

// Trailers implements proxy.Body.
func (r *resumed) Trailers() http1.Fields { return r.rest.Trailers() }

// Buffered returns how much can be read without waiting.
func (r *resumed) Buffered() int { return len(r.begin) }

// put keeps e under key until it expires. It may decide not to.
func (s *store) put(key string, e *entry, expires time.Time) {
	s.kept.Put(key, e, e.size(), expires)
}
