package http1

// maxMethod is the longest method in bytes; the registered ones have 17 at most.
const maxMethod = 32

// Parse reads a request head from the start of b and returns how many bytes it
// has, with the empty line at its end and with one empty line before it, if
// there is one (RFC 9112, 2.2).
//
// The error is ErrIncomplete when b ends before the head does: call again with
// a longer b that begins with the same bytes (it may have moved), or Reset. All
// calls together look at each byte a bounded number of times. Otherwise it is an
// *Error: the request is to be answered with its Status and the connection
// closed; Method and Target are what was read of them, for the log, and the rest
// of r is empty. A nil lim means the defaults.
//
// The strings of r are views of b. It allocates only where Fields must grow.
func (r *Request) Parse(b []byte, lim *Limits) (n int, err error) {
	if !r.progress.due(b) {
		return 0, ErrIncomplete
	}
	l := lim.orDefault()
	n, bound, e := r.parse(b, &l)
	if e != nil {
		method, target := r.Method, r.Target
		r.Reset()
		r.Method, r.Target = method, target
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
// capacity. A Request that goes on to another connection must be reset.
func (r *Request) Reset() {
	*r = Request{Fields: r.Fields[:0]}
}

// parse is one attempt; n is 0 when b is too short, and bound is then the
// length at which a limit is reached.
func (r *Request) parse(b []byte, lim *Limits) (n, bound int, err *Error) {
	r.Method, r.Target = "", ""
	start := 0
	if len(b) > 0 && b[0] == '\r' {
		if len(b) > 1 && b[1] != '\n' {
			return 0, 0, refuse(400, reasonBareCR)
		}
		start = 2
	}
	bound = start + lim.Line + 2
	at, err := r.parseLine(b, start, lim)
	if err != nil {
		return 0, 0, err
	}
	if at == 0 {
		if len(b) >= bound {
			return 0, 0, refuse(414, "request line exceeds the limit")
		}
		return 0, bound, nil
	}
	bound = at + lim.Head + 2
	r.Fields, n, err = parseFields(r.Fields[:0], b, at, bound, lim, nil)
	if err != nil || n == 0 {
		return 0, bound, err
	}
	return n, 0, r.settle()
}

// parseLine reads the request line of b from start on and returns the index
// behind it, 0 if it isn't complete within the limit. RFC 9112, 3: exactly one
// SP between the parts.
func (r *Request) parseLine(b []byte, start int, lim *Limits) (end int, err *Error) {
	if len(b) > start+lim.Line+2 {
		b = b[:start+lim.Line+2]
	}
	if start >= len(b) {
		return 0, nil
	}
	i := run(b, start, tokenByte)
	if i-start > maxMethod {
		return 0, refuse(501, "method too long")
	}
	if i == len(b) {
		return 0, nil
	}
	if b[i] != ' ' || i == start {
		return 0, refuse(400, "invalid method")
	}
	r.Method = view(b[start:i])
	start = i + 1
	i = run(b, start, targetByte)
	if i == len(b) {
		return 0, nil
	}
	if b[i] != ' ' || i == start {
		return 0, refuse(400, reasonTarget)
	}
	r.Target = view(b[start:i])
	i++
	minor, err := parseVersion(b[i:])
	if err != nil || minor < 0 {
		return 0, err
	}
	r.Minor = minor
	i += len(version)
	if i == len(b) {
		return 0, nil
	}
	switch {
	case b[i] == '\n':
		return 0, refuse(400, reasonBareLF)
	case b[i] != '\r':
		return 0, refuse(400, "invalid request line")
	case i+1 == len(b):
		return 0, nil
	case b[i+1] != '\n':
		return 0, refuse(400, reasonBareCR)
	}
	return i + 2, nil
}

const version = "HTTP/1.1"

// parseVersion reads the version at the start of b; minor is -1 when b is too
// short to tell.
func parseVersion(b []byte) (minor int, err *Error) {
	if len(b) >= len(version) && string(b[:len(version)]) == version {
		return 1, nil
	}
	const name = len("HTTP/")
	for i := 0; i < len(version) && i < len(b); i++ {
		digit := i == name || i == name+2
		if digit && b[i]-'0' > 9 || !digit && b[i] != version[i] {
			return 0, refuse(400, "invalid HTTP version")
		}
	}
	if len(b) < len(version) {
		return -1, nil
	}
	if b[name] != '1' || b[name+2] > '1' {
		return 0, refuse(505, "unsupported HTTP version")
	}
	return int(b[name+2] - '0'), nil
}

// settle works out what the fields say and checks it.
func (r *Request) settle() *Error {
	var c control
	err := c.gather(r.Fields)
	if err != nil {
		return err
	}
	if r.Framing, _, err = c.framing(r.Minor); err != nil {
		return err
	}
	if err = r.settleHost(&c); err != nil {
		return err
	}
	r.KeepAlive = c.persists(r.Minor)
	r.Upgrade = c.switchTo(r.Minor)
	// RFC 9110, 10.1.1: HTTP/1.0 has no 100 (Continue), and without content there
	// is nothing to continue with.
	r.ExpectContinue = c.expectContinue && r.Minor == 1 && r.Length != 0
	return nil
}

// settleHost checks target and Host, which must name one host between them.
// RFC 9112, 3.2: exactly one valid Host in HTTP/1.1.
func (r *Request) settleHost(c *control) *Error {
	switch {
	case c.hosts > 1:
		return refuse(400, "several Host fields")
	case c.hosts == 0 && r.Minor > 0:
		return refuse(400, "missing Host")
	}
	r.Host, r.Name, r.Port = c.host, "", ""
	if c.hosts == 1 {
		var ok bool
		if r.Name, r.Port, ok = r.named.take(c.host); !ok {
			return refuse(400, reasonHost)
		}
	}
	if r.Target[0] == '/' && r.Method != "CONNECT" {
		return nil // most requests; nothing else to check in it
	}
	target, err := parseTarget(r.Method, r.Target)
	if err != nil {
		return err
	}
	if target.Form != AbsoluteForm {
		return nil
	}
	if c.hosts == 0 {
		r.Host = target.Authority
		r.Name, r.Port, _ = r.named.take(r.Host) // parseTarget has checked it
		return nil
	}
	// RFC 9112, 3.2.2 lets the target win. A backend might let Host win.
	named, namedPort, _ := splitHost(target.Authority)
	usual := "80"
	if target.Scheme == "https" {
		usual = "443"
	}
	if !equalFold(r.Name, named) || orUsual(r.Port, usual) != orUsual(namedPort, usual) {
		return refuse(400, "request target and Host differ")
	}
	return nil
}

// orUsual returns port, or the usual one of the scheme if there is none.
func orUsual(port, usual string) string {
	if port == "" {
		return usual
	}
	return port
}
