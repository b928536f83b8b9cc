package outbound

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

// Limits of the header fields of a request.
const (
	maxFields    = 200      // lines
	maxFieldText = 64 << 10 // bytes of all lines together
)

// Request is what to send.
type Request struct {
	Method  string
	URL     string // absolute
	Header  string // a line for each field, "Name: value", ended by "\n"
	Content []byte
	Timeout time.Duration // until the end of the answer; 0 and more than the rules' is theirs
}

// check takes r apart by the rules of c. The result shares no memory with r.
func (c *Client) check(ctx context.Context, r *Request) (*http.Request, error) {
	method := strings.Clone(r.Method)
	if !slices.Contains(c.methods, method) {
		if !http1.ValidFieldName(method) {
			return nil, fmt.Errorf("%w: %q isn't a method", ErrMalformed, method)
		}
		return nil, fmt.Errorf("%w: the method %s", ErrDenied, method)
	}
	to, err := c.target(r.URL)
	if err != nil {
		return nil, err
	}
	header, err := readHeader(r.Header)
	if err != nil {
		return nil, err
	}
	if int64(len(r.Content)) > c.size {
		return nil, fmt.Errorf("%w: content of %d bytes", ErrLimit, len(r.Content))
	}
	content := bytes.NewReader(bytes.Clone(r.Content))
	request, err := http.NewRequestWithContext(ctx, method, to.String(), content)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	// One parser decides both what is allowed and what is sent.
	request.URL, request.Host, request.Header = to, "", header
	return request, nil
}

// target checks a URL and returns it as it's sent.
func (c *Client) target(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("%w: a URL of %d bytes", ErrLimit, len(text))
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }); i >= 0 {
		return nil, fmt.Errorf("%w: the URL has %q", ErrMalformed, text[i])
	}
	u, err := url.Parse(strings.Clone(text))
	if err != nil {
		return nil, fmt.Errorf("%w: the URL: %w", ErrMalformed, err)
	}
	to, err := originOf(u)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !slices.ContainsFunc(c.allowed, func(rule origin) bool { return rule.covers(&to) }) {
		return nil, fmt.Errorf("%w: the server %s://%s", ErrDenied, to.scheme, to.authority())
	}
	u.Host, u.Fragment, u.RawFragment = to.authority(), "", ""
	return u, nil
}

// readHeader reads the lines of a header.
func readHeader(text string) (http.Header, error) {
	if len(text) > maxFieldText {
		return nil, fmt.Errorf("%w: header fields of %d bytes", ErrLimit, len(text))
	}
	header := http.Header{}
	count := 0
	for line := range strings.Lines(strings.Clone(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !found || !http1.ValidFieldName(name) || !http1.ValidFieldValue(value) {
			return nil, fmt.Errorf("%w: the header line %q", ErrMalformed, line)
		}
		if count++; count > maxFields {
			return nil, fmt.Errorf("%w: more than %d header lines", ErrLimit, maxFields)
		}
		if ours(name) {
			return nil, fmt.Errorf("%w: the header field %s", ErrDenied, name)
		}
		header.Add(name, value)
	}
	if header["User-Agent"] == nil {
		header.Set("User-Agent", "postern")
	}
	return header, nil
}

// ours reports whether a field is about the connection or about how the message
// is framed, or says who is spoken to: that follows from the URL alone.
// RFC 9110, 7.6.1 and 7.2.
func ours(name string) bool {
	switch strings.ToLower(name) {
	case "host", "connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
		"content-length", "expect", "http2-settings", "proxy-authorization", "proxy-authenticate":
		return true
	}
	return false
}
