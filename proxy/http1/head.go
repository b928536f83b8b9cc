package http1

// earlyBytes is how much of a head is parsed again with every byte that comes:
// enough to tell at once that a peer doesn't speak HTTP.
const earlyBytes = 40

// progress makes the cost of a head that arrives in pieces linear: it remembers
// what was looked at, and says when parsing once more can tell anything new.
// What is accepted never depends on it, as every parse starts at the first byte.
type progress struct {
	seen  int // bytes that need not be looked at again
	lines int // ends of lines among them
	bound int // length at which a limit is reached; 0 before the first attempt
}

// due reports whether b, which begins with the bytes of the last call, can give
// anything else than ErrIncomplete.
func (p *progress) due(b []byte) bool {
	if p.bound == 0 || len(b) < p.seen || len(b) <= earlyBytes || len(b) >= p.bound {
		return true
	}
	for i := text(b, p.seen); i < len(b); i = text(b, i+1) {
		c := b[i]
		if c == '\t' {
			continue
		}
		if c == '\r' && i+1 == len(b) {
			p.seen = i
			return false
		}
		if c != '\r' || b[i+1] != '\n' {
			return true // the parser will say what is wrong with it
		}
		p.lines++
		// The start line may stand after an empty line, so it is checked as soon
		// as the second line is there.
		if p.lines <= 2 || b[i-1] == '\n' {
			return true
		}
		i++
	}
	p.seen = len(b)
	return false
}

// wait notes an attempt that found b incomplete. bound is the length at which
// the limit of the part being read is reached.
func (p *progress) wait(b []byte, bound int) {
	p.seen = len(b)
	p.bound = bound
}

// parseFields appends the field lines of b from at on to fs, up to the empty
// line that ends them, and returns the index behind that. The error is an
// *Error, or nil together with an end of 0: b ends too early.
//
// bound is at + lim.Head + 2, the length at which the limit must be reached. last may
// be nil.
func parseFields(fs Fields, b []byte, at, bound int, lim *Limits, last *lines) (_ Fields, end int, err *Error) {
	if len(b) > bound {
		b = b[:bound] // so that what is beyond the limit doesn't decide anything
	}
	first := len(fs)
	i := at
	last.begin()
	for {
		start := i
		if m := last.take(b[i:]); m != nil && len(fs)-first < lim.Fields {
			fs = fs.longer()
			f := &fs[len(fs)-1]
			f.Name, f.Value, f.known = view(b[i:i+m.name]), view(b[i+m.value:i+m.stop]), m.known
			i += m.size
			continue
		}
		i = token(b, i)
		if i == len(b) {
			break
		}
		if b[i] != ':' || i == start {
			if i != start || b[i] != '\r' {
				return fs, 0, badName(b[i], i == start)
			}
			if i+1 == len(b) {
				break
			}
			if b[i+1] != '\n' {
				return fs, 0, refuse(400, reasonBareCR)
			}
			last.end(fs[first:], b[at:i+2])
			return fs, i + 2, nil
		}
		name := b[start:i]
		i++
		for i < len(b) && isBlank(b[i]) {
			i++
		}
		start = i
		for i = text(b, i); i < len(b) && b[i] == '\t'; i = text(b, i+1) {
		}
		if i+1 >= len(b) && (i == len(b) || b[i] == '\r') {
			break
		}
		if b[i] != '\r' || b[i+1] != '\n' {
			return fs, 0, badControl(b[i])
		}
		stop := i
		for stop > start && isBlank(b[stop-1]) {
			stop--
		}
		if len(fs)-first == lim.Fields {
			return fs, 0, refuse(431, reasonManyFields)
		}
		fs = fs.longer()
		f := &fs[len(fs)-1]
		f.Name, f.Value = view(name), view(b[start:stop])
		f.known = KnownName(f.Name)
		i += 2
	}
	if len(b) == bound {
		return fs, 0, refuse(431, reasonBigHead)
	}
	return fs, 0, nil
}

// The reasons that several places give.
const (
	reasonBareCR     = "CR without LF"
	reasonBareLF     = "LF without CR"
	reasonBigHead    = "field lines exceed the limit"
	reasonManyFields = "more field lines than the limit"
	reasonTarget     = "invalid request target"
	reasonHost       = "invalid Host"
)

// badName is the error of a field name that ends with c.
func badName(c byte, empty bool) *Error {
	switch {
	case c == '\n':
		return refuse(400, reasonBareLF)
	case empty && isBlank(c):
		return refuse(400, "white space at the start of a field line") // RFC 9112, 5.2: obs-fold
	case isBlank(c):
		return refuse(400, "white space before the colon of a field line") // RFC 9112, 5.1
	case c == '\r':
		return refuse(400, "field line without colon")
	case empty && c == ':':
		return refuse(400, "empty field name")
	}
	return refuse(400, "invalid character in a field name")
}

// badControl is the error of the control character c where a line goes on.
func badControl(c byte) *Error {
	switch c {
	case '\r':
		return refuse(400, reasonBareCR)
	case '\n':
		return refuse(400, reasonBareLF)
	}
	return refuse(400, "control character in a field value")
}

// maxOptions bounds the members of Connection, since each field to be forwarded
// is compared with each of them.
const maxOptions = 64

// control is what the fields say about the message and its connection.
type control struct {
	host, length, coding    string
	hosts, lengths, codings int
	close, keep, upgrade    bool   // members of Connection
	protocol                string // first Upgrade
	expectContinue          bool
}

// gather collects the control of a parsed head.
func (c *control) gather(fs Fields) *Error {
	options := 0
	for i := range fs {
		f := &fs[i]
		switch f.known {
		case Host:
			c.host = f.Value
			c.hosts++
		case ContentLength:
			c.length = f.Value
			c.lengths++
		case TransferEncoding:
			c.coding = f.Value
			c.codings++
		case Expect:
			c.expectContinue = c.expectContinue || equalFold(f.Value, "100-continue")
		case Upgrade:
			if c.protocol == "" {
				c.protocol = f.Value
			}
		case Connection:
			option, rest := nextMember(f.Value)
			for ; option != ""; option, rest = nextMember(rest) {
				if options++; options > maxOptions {
					return refuse(400, "too many connection options")
				}
				c.close = c.close || equalFold(option, "close")
				c.keep = c.keep || equalFold(option, "keep-alive")
				c.upgrade = c.upgrade || equalFold(option, "upgrade")
			}
		}
	}
	return nil
}

// persists reports whether the connection outlives the message. RFC 9112, 9.3.
func (c *control) persists(minor int) bool {
	return !c.close && (minor == 1 || c.keep)
}

// switchTo returns the protocol to switch to, "" for none. RFC 9110, 7.8: HTTP/1.0
// has no Upgrade.
func (c *control) switchTo(minor int) string {
	if c.upgrade && minor == 1 {
		return c.protocol
	}
	return ""
}

// framing decides how the content is delimited; found is false when neither
// Content-Length nor Transfer-Encoding say so. RFC 9112, 6.1 to 6.3, without any
// of the repairs that they leave to the recipient.
func (c *control) framing(minor int) (f Framing, found bool, err *Error) {
	switch {
	case c.codings == 0 && c.lengths == 0:
		return f, false, nil
	case c.lengths > 1:
		return f, true, refuse(400, "several Content-Length fields")
	case c.codings > 0 && c.lengths > 0:
		return f, true, refuse(400, "Content-Length with Transfer-Encoding")
	case c.codings > 1:
		return f, true, refuse(400, "several Transfer-Encoding fields")
	case c.codings == 1 && minor == 0:
		return f, true, refuse(400, "Transfer-Encoding in HTTP/1.0")
	case c.codings == 1:
		return Framing{Length: Unknown, Chunked: true}, true, checkCoding(c.coding)
	}
	n, ok := parseLength(c.length)
	if !ok {
		return f, true, refuse(400, "invalid Content-Length")
	}
	return Framing{Length: n}, true, nil
}

// checkCoding accepts exactly "chunked". RFC 9112, 6.1: 501 for codings that
// are not implemented; 6.3: 400 when chunked isn't the last one.
func checkCoding(value string) *Error {
	if equalFold(value, "chunked") {
		return nil
	}
	member, rest := nextMember(value)
	if member == "" {
		return refuse(400, "invalid Transfer-Encoding")
	}
	for ; member != ""; member, rest = nextMember(rest) {
		if !isToken(member) || equalFold(member, "chunked") && rest != "" {
			return refuse(400, "invalid Transfer-Encoding")
		}
	}
	return refuse(501, "unsupported Transfer-Encoding")
}

// maxDigits is how many digits the largest int64 has.
const maxDigits = 19

// parseLength reads 1*DIGIT.
func parseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > maxDigits {
		return 0, false
	}
	var u uint64 // 19 digits can't overflow it
	for i := 0; i < len(s); i++ {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		u = u*10 + uint64(d)
	}
	return int64(u), u <= 1<<63-1
}
