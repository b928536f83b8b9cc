package http2

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/postern-gateway/postern/proxy/http1"
)

// Head is a request's head. Its strings are valid for ever.
type Head struct {
	Method, Scheme, Authority, Path string

	Fields http1.Fields // in order of arrival, names in lower case, Cookie joined
	Length int64        // of the content as announced; http1.Unknown when it isn't known

	// Malformed says why it is no good request; nil for one that is. The stream is
	// reset after its reply. RFC 9113, 8.1.1.
	Malformed error
	// TooLarge says that its fields are larger than allowed; those that were too
	// much are missing.
	TooLarge bool
}

// Reset makes h ready for another request; it keeps the memory of its Fields.
func (h *Head) Reset() {
	clear(h.Fields)
	*h = Head{Fields: h.Fields[:0]}
}

// The pseudo-fields of a request. RFC 9113, 8.3.1.
const (
	pseudoMethod = 1 << iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
)

// Section is a section of fields on its way in, to which fields are added in order:
// the head of a request, or trailers. HTTP/3 has the same rules: RFC 9114, 4.2 and 4.3.
type Section struct {
	Head     *Head        // of a request; nil for trailers
	Trailers http1.Fields // without a Head
	Left     int          // bytes of fields that it may still have, by RFC 9113, 6.5.2
	Bad      error        // why it is malformed
	Large    bool         // it has more fields than it may have

	pseudo  int  // pseudo-fields that were there
	regular bool // a field that isn't pseudo was there
	cookies int  // Cookie fields so far
}

// block is a section with what frames say of it. The reading goroutine owns it.
type block struct {
	Section
	stream  uint32 // 0 while none is open
	end     bool   // the stream ends with it
	fresh   bool   // it opens the stream
	selfish bool   // its priority depends on itself
	raw     int    // bytes of it that may still come, as they are sent
}

// fieldOverhead is what a field counts besides its text. RFC 9113, 6.5.2.
const fieldOverhead = 32

// field takes the next field of the block.
func (c *Conn) field(f hpack.HeaderField) {
	if !c.block.Add(f.Name, f.Value) {
		c.decoder.SetEmitEnabled(false) // the table goes on, or later blocks were garbage
	}
}

// Add takes the next field; false means that the section is too large, and further
// ones make no difference.
func (b *Section) Add(name, value string) (room bool) {
	if b.Left -= len(name) + len(value) + fieldOverhead; b.Left < 0 {
		b.Large = true
		return false
	}
	if b.Bad != nil {
		return true
	}
	if strings.HasPrefix(name, ":") {
		b.Bad = b.setPseudo(name, value)
		return true
	}
	b.regular = true
	field := http1.NewField(name, value)
	if b.Bad = checkField(&field); b.Bad != nil {
		return true
	}
	if b.Head == nil {
		b.Trailers = append(b.Trailers, field)
		return true
	}
	if field.Known() == http1.Cookie {
		b.cookies++
	}
	b.Head.Fields = append(b.Head.Fields, field)
	return true
}

func (b *Section) setPseudo(name, value string) error {
	var to *string
	bit := 0
	if b.Head != nil {
		switch name {
		case ":method":
			to, bit = &b.Head.Method, pseudoMethod
		case ":scheme":
			to, bit = &b.Head.Scheme, pseudoScheme
		case ":authority":
			to, bit = &b.Head.Authority, pseudoAuthority
		case ":path":
			to, bit = &b.Head.Path, pseudoPath
		}
	}
	switch {
	case to == nil:
		return fmt.Errorf("pseudo-field %q", name)
	case b.regular:
		return fmt.Errorf("pseudo-field %s behind fields", name)
	case b.pseudo&bit != 0:
		return fmt.Errorf("pseudo-field %s twice", name)
	}
	b.pseudo |= bit
	*to = value
	return nil
}

// checkField says why f can't be in a message. RFC 9113, 8.2.1 and 8.2.2.
func checkField(f *http1.Field) error {
	if !http1.ValidFieldName(f.Name) {
		return errors.New("malformed field name")
	}
	for i := range len(f.Name) {
		if c := f.Name[i]; 'A' <= c && c <= 'Z' {
			return errors.New("field name in upper case")
		}
	}
	if v := f.Value; !http1.ValidFieldValue(v) || v != "" && (blank(v[0]) || blank(v[len(v)-1])) {
		return errors.New("malformed field value")
	}
	switch f.Known() {
	case http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TransferEncoding, http1.Upgrade:
		return fmt.Errorf("field %s, which belongs to one connection", f.Name)
	case http1.TE:
		if !strings.EqualFold(f.Value, "trailers") {
			return errors.New("field te other than trailers")
		}
	}
	return nil
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// Finish completes the head once all fields are there. end says that no content
// follows.
func (b *Section) Finish(end bool) {
	h := b.Head
	h.Length = http1.Unknown
	if h.TooLarge = b.Large; b.Large {
		return
	}
	if h.Malformed = b.Bad; h.Malformed != nil {
		return
	}
	if b.cookies > 1 {
		h.joinCookies()
	}
	h.Malformed = h.check(b.pseudo, end)
}

// check completes the head and says what is wrong with it. RFC 9113, 8.3.1 and 8.5.
func (h *Head) check(pseudo int, end bool) error {
	if !http1.ValidFieldName(h.Method) { // a token: RFC 9110, 9.1
		return errors.New("malformed :method")
	}
	if h.Method == "CONNECT" {
		if pseudo != pseudoMethod|pseudoAuthority {
			return errors.New("CONNECT with other pseudo-fields than :authority")
		}
		h.Path = h.Authority // as HTTP/1.1 has it in its target: RFC 9110, 9.3.6
	} else {
		if pseudo|pseudoAuthority != pseudoMethod|pseudoScheme|pseudoPath|pseudoAuthority {
			return errors.New("a pseudo-field is missing")
		}
		if h.Scheme != "https" && h.Scheme != "http" {
			return errors.New("unknown :scheme")
		}
		if h.Path == "" || h.Path[0] != '/' && (h.Path != "*" || h.Method != "OPTIONS") {
			return errors.New("malformed :path")
		}
	}
	if pseudo&pseudoAuthority != 0 && !http1.ValidFieldValue(h.Authority) {
		return errors.New("malformed :authority")
	}
	announced := false
	for i := range h.Fields {
		if f := &h.Fields[i]; f.Known() == http1.ContentLength {
			n, err := strconv.ParseUint(f.Value, 10, 63)
			if err != nil || announced {
				return errors.New("malformed content-length")
			}
			h.Length, announced = int64(n), true
		}
	}
	if end {
		if h.Length > 0 {
			return errors.New("content-length without content")
		}
		h.Length = 0
	}
	return nil
}

// joinCookies makes one of several Cookie fields. RFC 9113, 8.2.3.
func (h *Head) joinCookies() {
	var all strings.Builder
	first := -1
	kept := h.Fields[:0]
	for _, f := range h.Fields {
		if f.Known() != http1.Cookie {
			kept = append(kept, f)
			continue
		}
		if first < 0 {
			first = len(kept)
			kept = append(kept, f)
		} else {
			all.WriteString("; ")
		}
		all.WriteString(f.Value)
	}
	kept[first].Value = all.String()
	h.Fields = kept
}
