package http1

// Parse reads a response head from the start of b and returns how many bytes it
// has, with the empty line at its end. method is that of the request, which has
// a say in the framing. What an informational response (1xx) announces is the
// next head: call again with the bytes behind it.
//
// The error is ErrIncomplete when b ends before the head does: call again with
// a longer b that begins with the same bytes (it may have moved), or Reset. All
// calls together look at each byte a bounded number of times. Otherwise it is an
// *Error with status 502, and the connection to be closed. A nil lim means the
// defaults.
//
// The strings of r are views of b. It allocates only where Fields must grow.
func (r *Response) Parse(b []byte, lim *Limits, method string) (n int, err error) {
	if !r.progress.due(b) {
		return 0, ErrIncomplete
	}
	l := lim.orDefault()
	n, bound, e := r.parse(b, &l, method)
	if e != nil {
		r.Reset()
		e.Status = 502 // whatever it would be for a request
		return 0, e
	}
	if n == 0 {
		r.progress.wait(b, bound)
		return 0, ErrIncomplete
	}
	r.progress = progress{}
	return n, nil
}

// Reset empties r and forgets a head that was incomplete. Fields keeps its
// capacity. A Response that goes on to another connection must be reset.
func (r *Response) Reset() {
	*r = Response{Fields: r.Fields[:0]}
}

// parse is one attempt; n is 0 when b is too short, and bound is then the
// length at which a limit is reached.
func (r *Response) parse(b []byte, lim *Limits, method string) (n, bound int, err *Error) {
	bound = lim.Line + 2
	at, err := r.parseLine(b, lim)
	if err != nil {
		return 0, 0, err
	}
	if at == 0 {
		if len(b) >= bound {
			return 0, 0, refuse(502, "status line exceeds the limit")
		}
		return 0, bound, nil
	}
	bound = at + lim.Head + 2
	r.Fields, n, err = parseFields(r.Fields[:0], b, at, bound, lim, &r.lines)
	if err != nil || n == 0 {
		return 0, bound, err
	}
	return n, 0, r.settle(method)
}

// parseLine reads the status line and returns the index behind it, 0 if it
// isn't complete within the limit. RFC 9112, 4; the space in front of a missing
// reason may be missing too, as some servers have it.
func (r *Response) parseLine(b []byte, lim *Limits) (end int, err *Error) {
	if len(b) > lim.Line+2 {
		b = b[:lim.Line+2]
	}
	minor, err := parseVersion(b)
	if err != nil || minor < 0 {
		return 0, err
	}
	r.Minor = minor
	const status = len(version) + 1 // index of its first digit
	r.Status = 0
	for i := len(version); i < len(b) && i < status+3; i++ {
		d := b[i] - '0'
		if i < status && b[i] != ' ' || i >= status && d > 9 {
			return 0, refuse(502, "invalid status")
		}
		if i >= status {
			r.Status = r.Status*10 + int(d)
		}
	}
	i := status + 3
	if len(b) <= i {
		return 0, nil
	}
	if r.Status < 100 || r.Status > 599 || b[i] != ' ' && b[i] != '\r' && b[i] != '\n' {
		return 0, refuse(502, "invalid status")
	}
	start := i
	if b[i] == ' ' {
		start++
	}
	for i = text(b, i); i < len(b) && b[i] == '\t'; i = text(b, i+1) {
	}
	if i == len(b) || i+1 == len(b) && b[i] == '\r' {
		return 0, nil
	}
	if b[i] != '\r' || b[i+1] != '\n' {
		return 0, badControl(b[i])
	}
	r.Reason = view(b[start:i])
	return i + 2, nil
}

// settle works out what the fields say and checks it.
func (r *Response) settle(method string) *Error {
	framing, found, err := r.control()
	if err != nil {
		return err
	}
	r.Framing = Framing{}
	switch { // RFC 9112, 6.3
	case method == "HEAD" || r.Status == 304:
		// The fields describe content that another request would have got.
	case r.Status < 200 && found && framing.Length != 0:
		return refuse(502, "content in an informational response")
	case r.Status < 200 || method == "CONNECT" && r.Status < 300:
	case r.Status == 204:
		// A server that announces content may well send some. Nobody may take
		// it for the next response.
		r.KeepAlive = r.KeepAlive && framing.Length == 0
	case !found:
		r.Length = Unknown
		r.KeepAlive = false
	default:
		r.Framing = framing
	}
	return nil
}

// control works out what the fields say about the message and its connection.
func (r *Response) control() (f Framing, found bool, err *Error) {
	if l := &r.lines; l.same && l.told && l.minor == r.Minor {
		r.KeepAlive, r.Upgrade = l.persist, ""
		return l.framing, l.found, nil
	}
	var c control
	if err = c.gather(r.Fields); err != nil {
		return f, false, err
	}
	if f, found, err = c.framing(r.Minor); err != nil {
		return f, false, err
	}
	r.KeepAlive = c.persists(r.Minor)
	r.Upgrade = c.switchTo(r.Minor)
	r.lines.tell(r.Minor, f, found, &c)
	return f, found, nil
}
