package integration

import (
	"errors"
	"strings"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/uri"
)

// Why a target is refused. Each says that the matcher let something through
// that it promises to stop, so that a mistake there can't become a hole here.
var (
	errParamMissing = errors.New("url: the matcher left a path parameter out")
	errParamSlash   = errors.New("url: a path parameter of one segment holds \"/\"")
	errParamText    = errors.New("url: a path parameter holds a character that ends a path")
	errParamClimbs  = errors.New("url: a path parameter makes a segment \".\" or \"..\"")
)

// target returns the request target for ex: the URL's path and query string
// with the parameters filled in, raw as they came, and the client's query
// string behind the URL's own if it is to pass. The backend sees the bytes that
// routing and policies saw; nothing is decoded or encoded again. What is mapped,
// which may be nil, takes the place of path parameters and goes behind the query.
func (a *address) target(ex *proxy.Exchange, passQuery bool, mapped *values) (string, error) {
	passQuery = passQuery && ex.In.HasQuery
	query := ex.In.RawQuery
	if mapped != nil && mapped.filtered {
		query = mapped.client
	}
	if a.fixed != "" && !passQuery && (mapped == nil || len(mapped.query) == 0 && mapped.whole == "") {
		return a.fixed, nil
	}
	b := ex.Text.Begin()
	if mapped != nil && mapped.whole != "" {
		b = append(b, mapped.whole...)
	} else {
		var err error
		if b, err = a.appendPath(b, ex, mapped); err != nil {
			return "", proxy.Fault{Kind: proxy.BadRequest, Cause: err}
		}
	}
	separator := byte('?')
	if len(a.query) > 0 {
		b = append(b, separator)
		separator = '&'
		for i := range a.query {
			p := &a.query[i]
			if p.param == "" {
				b = append(b, p.text...)
				continue
			}
			value, _, found := mapped.param(ex, p)
			if !found {
				return "", proxy.Fault{Kind: proxy.Internal, Cause: errParamMissing}
			}
			b = appendQueryValue(b, value.Value)
		}
	}
	adds := mapped != nil && len(mapped.query) > 0
	// "/a?" isn't "/a": RFC 3986, 6.2.3.
	if passQuery && (query != "" || separator == '?' && !adds) {
		b = append(b, separator)
		b = append(b, query...)
		separator = '&'
	}
	if adds {
		b = append(append(b, separator), mapped.query...)
	}
	return ex.Text.Finish(b), nil
}

// param returns what stands for a parameter of the URL, encoded: what is mapped to
// its name, else the route's path parameter.
func (v *values) param(ex *proxy.Exchange, p *piece) (value mapping.PathValue, mapped, found bool) {
	if v != nil {
		for i := range v.path {
			if v.path[i].Name == p.param {
				return v.path[i], true, true
			}
		}
	}
	raw, found := ex.Param(p.param)
	return mapping.PathValue{Value: raw, Greedy: p.greedy}, false, found
}

func (a *address) appendPath(b []byte, ex *proxy.Exchange, mapped *values) ([]byte, error) {
	for i := range a.path {
		p := &a.path[i]
		if p.param == "" {
			b = append(b, p.text...)
			continue
		}
		param, isMapped, found := mapped.param(ex, p)
		if !found {
			return nil, errParamMissing
		}
		value := param.Value
		if !param.Greedy && strings.IndexByte(value, '/') >= 0 {
			return nil, errParamSlash
		}
		if endsPath(value) {
			return nil, errParamText
		}
		b = append(b, value...)
		// Differs from AWS, which cuts one trailing slash off the parameter and so
		// off the backend's path: a backend that redirects /dir to /dir/ would
		// redirect for ever.
		if p.param == a.rest && !isMapped && i == len(a.path)-1 && strings.HasSuffix(ex.Path, "/") && !strings.HasSuffix(ex.Path, value) {
			b = append(b, '/')
		}
	}
	if a.appends {
		if endsPath(ex.Path) {
			return nil, errParamText
		}
		b = append(b, ex.Path...)
	}
	// Parameters beside literal dots, or beside each other, can make what none of
	// them is alone.
	if uri.HasDotSegment(b) {
		return nil, errParamClimbs
	}
	return b, nil
}

// endsPath reports whether text has a character that can't be in a path, or NUL however it
// is encoded: clients' own paths have none, and many backends read no further.
func endsPath[T uri.Text](text T) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			if d, ok := uri.Unescape(text, i); ok && d == 0 {
				return true
			}
		}
		if c <= ' ' || c >= 0x7f || c == '?' || c == '#' || c == '\\' {
			return true
		}
	}
	return false
}

// appendQueryValue appends a path parameter's raw text as the value of a query
// parameter: "&", "+", ";" and "=" are ordinary in a path, but not there.
func appendQueryValue(b []byte, value string) []byte {
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '&' || c == '+' || c == ';' || c == '=' || c == '#' || c <= ' ' || c >= 0x7f:
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
