package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Expression is a text in which sources stand for their values: the right-hand side of a
// parameter mapping in HTTP APIs. The zero value is the empty text.
//
// AWS: "Transform API requests and responses for HTTP APIs in API Gateway".
type Expression struct {
	parts   []expressionPart
	written string // as it stands in the configuration
}

// expressionPart is a text or, if it has no text, a source.
type expressionPart struct {
	text   string
	source Source
}

// maxPathContent is how much content a JSONPath looks into, in bytes. AWS cuts it there,
// and finds nothing in what is left; so there is nothing in longer content.
const maxPathContent = 100 << 10

// ParseExpression compiles a text for a route: "$request.header.X" alone, or others with
// "${request.header.X}" among them. What is wrong with it is returned as a
// *config.KeyError without a path.
func ParseExpression(text string, side Side, route *proxy.Route) (Expression, *config.KeyError) {
	e := Expression{written: text}
	if reference, found := strings.CutPrefix(text, "$"); found && refers(reference) {
		source, err := parseReference(reference, side, route)
		if err != nil {
			return e, err
		}
		e.parts = []expressionPart{{source: source}}
		return e, nil
	}
	for text != "" {
		before, rest, found := strings.Cut(text, "${")
		if before != "" {
			e.parts = append(e.parts, expressionPart{text: before})
		}
		if !found {
			break
		}
		reference, after, closed := strings.Cut(rest, "}")
		switch {
		case !closed:
			return e, wrong(`"${" without "}"`, "a value is ${request.header.NAME}")
		case !refers(reference):
			return e, wrong(fmt.Sprintf("${%s} stands for nothing", reference), "write one of "+formsOf(side))
		}
		source, err := parseReference(reference, side, route)
		if err != nil {
			return e, err
		}
		e.parts = append(e.parts, expressionPart{source: source})
		text = after
	}
	return e, nil
}

// refers reports whether a text behind "$" is meant to stand for a value.
func refers(reference string) bool {
	first, _, _ := strings.Cut(reference, ".")
	return slices.Contains([]string{"request", "response", "context", "stageVariables", "method", "integration"}, first)
}

func formsOf(side Side) string {
	const both = ", ${context.NAME} or ${stageVariables.NAME}; alone also without braces"
	if side == Response {
		return "${response.header.NAME}, ${response.body}, ${response.body.JSONPATH}" + both
	}
	return "${request.header.NAME}, ${request.querystring.NAME}, ${request.path}, ${request.path.NAME}, ${request.body}, ${request.body.JSONPATH}" + both
}

// parseReference compiles what stands behind "$" or in "${}".
func parseReference(reference string, side Side, route *proxy.Route) (s Source, err *config.KeyError) {
	first, rest, _ := strings.Cut(reference, ".")
	place, name, _ := strings.Cut(rest, ".")
	mine := map[Side]string{Request: "request", Response: "response"}[side]
	switch {
	case reference == "context.routeKey":
		s = Source{kind: literal, text: route.Key}
	case first == "context", first == "stageVariables":
		s, err = ParseSource(reference, side, route)
	case first != mine:
		err = wrong(fmt.Sprintf("%q can't be used here", "$"+reference), "write one of "+formsOf(side))
	case place == "header":
		s, err = headerSource(name, true)
	case place == "body" && (strings.Contains(rest, "..") || strings.Contains(name, "?(")):
		err = wrong("the JSONPath: it can have neither \"..\" nor filters here", "as in body.order.items[0].id")
	case place == "body":
		s, err = bodySource(name, rest)
	case side == Request && place == "querystring" && name != "":
		s = Source{kind: queryParams, text: name}
	case side == Request && rest == "path":
		s = Source{kind: requestPath}
	case side == Request && place == "path":
		s, err = requestSource("method."+reference, route)
	default:
		err = wrong(fmt.Sprintf("%q stands for nothing", "$"+reference), "write one of "+formsOf(side))
	}
	s.written = "$" + reference
	return s, err
}

// String returns the expression.
func (e *Expression) String() string { return e.written }

// NeedsBody reports whether a part of e takes its value from the content.
func (e *Expression) NeedsBody() bool {
	return slices.ContainsFunc(e.parts, func(p expressionPart) bool { return p.source.NeedsBody() })
}

// Identifies reports whether a part of e is the gateway's word of who calls.
func (e *Expression) Identifies() bool {
	return slices.ContainsFunc(e.parts, func(p expressionPart) bool {
		return strings.HasPrefix(p.source.written, "$context.authorizer.") || strings.HasPrefix(p.source.written, "$context.identity.")
	})
}

// Literal returns the text of a value that is known at load.
func (e *Expression) Literal() (text string, is bool) {
	for i := range e.parts {
		part, known := e.parts[i].text, true
		if part == "" {
			part, known = e.parts[i].source.Literal()
		}
		if !known {
			return "", false
		}
		text += part
	}
	return text, true
}

// RequestText returns e's text for a request; what has no value is empty in it. body may be
// nil where NeedsBody is false. The text is valid as long as the exchange.
func (e *Expression) RequestText(ex *proxy.Exchange, body *Document) (string, error) {
	return e.join(ex, func(s *Source) (string, error) {
		if s.kind == requestPath {
			return ex.Path, nil
		}
		text, _, err := s.RequestText(ex, shortOf(s, body))
		return text, err
	})
}

// ResponseText is RequestText for the integration's response. Several values of a header
// have commas between them.
func (e *Expression) ResponseText(ex *proxy.Exchange, body *Document) (string, error) {
	return e.join(ex, func(s *Source) (string, error) {
		if s.kind == headerValues {
			return s.joinedResponse(ex), nil
		}
		text, _, err := s.ResponseText(ex, shortOf(s, body))
		return text, err
	})
}

// shortOf returns the content for s; none for a JSONPath if it is too long.
func shortOf(s *Source, body *Document) *Document {
	if s.kind == bodyPath && len(body.Content) > maxPathContent {
		return &Document{}
	}
	return body
}

func (e *Expression) join(ex *proxy.Exchange, value func(*Source) (string, error)) (string, error) {
	var few [256]byte // the exchange's own memory is the sources' meanwhile
	all := few[:0]
	for i := range e.parts {
		p := &e.parts[i]
		text := p.text
		if text == "" {
			var err error
			if text, err = value(&p.source); err != nil && !errors.Is(err, ErrNotJSON) {
				return "", err
			}
		}
		if len(e.parts) == 1 {
			return text, nil
		}
		all = append(all, text...)
	}
	return ex.Text.Finish(append(ex.Text.Begin(), all...)), nil
}

// AppendPath appends e's text as a part of a path: paths and path parameters as they came,
// other values with everything encoded that has a meaning there.
func (e *Expression) AppendPath(dst []byte, ex *proxy.Exchange, body *Document) ([]byte, error) {
	for i := range e.parts {
		p := &e.parts[i]
		switch {
		case p.text != "":
			dst = append(dst, p.text...)
			continue
		case p.source.kind == requestPath:
			dst = append(dst, ex.Path...)
			continue
		}
		var err error
		if dst, _, err = p.source.AppendPath(dst, ex, shortOf(&p.source, body)); err != nil && !errors.Is(err, ErrNotJSON) {
			return dst, err
		}
	}
	return dst, nil
}

// joinedResponse returns all values of a header of the response.
func (s *Source) joinedResponse(ex *proxy.Exchange) string {
	first, next := s.ResponseValue(ex, 0)
	if next < 0 {
		return ""
	}
	value, next := s.ResponseValue(ex, next)
	if next < 0 {
		return first
	}
	all := append(ex.Text.Begin(), first...)
	for ; next >= 0; value, next = s.ResponseValue(ex, next) {
		all = append(append(all, ','), value...)
	}
	return ex.Text.Finish(all)
}

// Reserved reports whether no parameter mapping of an HTTP API may change a header. AWS: as
// Expression, "Reserved headers".
func Reserved(name string) bool {
	lower := strings.ToLower(name)
	for _, prefix := range [...]string{"access-control-", "apigw-", "x-amz-", "x-amzn-"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	switch lower {
	case "authorization", "connection", "content-encoding", "content-length", "content-location", "forwarded", "keep-alive", "origin",
		"proxy-authenticate", "proxy-authorization", "te", "trailers", "trailer", "transfer-encoding", "upgrade",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "via":
		return true
	}
	var none proxy.Passing
	f := http1.NewField(name, "")
	return none.HopByHop(&f)
}
