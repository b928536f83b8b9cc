// Package mapping has what AWS's two mapping phases share: the expressions of
// parameter mappings, $context, mapping templates by media type, what they
// override, and the conversion of content between text and binary.
//
// Everything is compiled at load for one route of one stage; nothing is looked up
// by configured name afterwards. What is compiled may be used by many goroutines.
package mapping

import (
	"errors"
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/expr"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// Side is the phase that a mapping belongs to.
type Side uint8

const (
	// Request is the way to the integration: sources are method.request.….
	Request Side = iota
	// Response is the way back: sources are integration.response.….
	Response
)

// Source is where a mapping takes a value from: the right-hand side of a
// parameter mapping.
type Source struct {
	kind     sourceKind
	text     string // the literal or stage variable itself; a parameter's name
	header   header
	variable Variable
	path     *expr.Path
	written  string // as it stands in the configuration
}

// String returns the expression.
func (s *Source) String() string { return s.written }

// Vouched reports whether the value is the gateway's own word, of who calls or of what
// became of the request.
func (s *Source) Vouched() bool { return s.kind == contextVariable }

type sourceKind uint8

const (
	literal sourceKind = iota
	stageVariable
	contextVariable
	pathParam
	queryParam
	queryParams // all of its values
	headerValue
	headerValues // all of them
	wholeBody
	bodyPath
	requestPath // in expressions alone
)

// ParseSource compiles an expression for a route. What is wrong with it is
// returned as a *config.KeyError without a path.
//
// AWS: "API Gateway mapping template and access logging variable reference" and
// "Request and response data mapping reference", mapping expressions.
func ParseSource(text string, side Side, route *proxy.Route) (Source, *config.KeyError) {
	s, err := parseSource(text, side, route)
	s.written = text
	return s, err
}

func parseSource(text string, side Side, route *proxy.Route) (Source, *config.KeyError) {
	if len(text) >= 2 && text[0] == '\'' && text[len(text)-1] == '\'' {
		return Source{kind: literal, text: text[1 : len(text)-1]}, nil
	}
	if name, found := strings.CutPrefix(text, "stageVariables."); found {
		value, set := route.Stage.Variables[name]
		if !set {
			// Differs from AWS, which drops the target: nobody means that.
			return Source{}, wrong(fmt.Sprintf("stage %q has no variable %q", route.Stage.Name, name), "give it one under variables of the stage")
		}
		return Source{kind: stageVariable, text: value}, nil
	}
	if name, found := strings.CutPrefix(text, "context."); found {
		v, known := ParseVariable(name)
		if !known || v.ofSockets() && !isSocket(route) {
			return Source{}, wrong(fmt.Sprintf("there is no context variable %q", name), "there are: "+strings.Join(VariableNames(), ", "))
		}
		return Source{kind: contextVariable, variable: v}, nil
	}
	if side == Request {
		if isSocket(route) {
			method, err := socketSource(text, route)
			if err != nil {
				return Source{}, err
			}
			text = method
		}
		return requestSource(text, route)
	}
	return responseSource(text)
}

func wrong(text, hint string) *config.KeyError { return &config.KeyError{Text: text, Hint: hint} }

const (
	requestForms = "'literal', stageVariables.NAME, context.NAME, method.request.header.NAME, method.request.multivalueheader.NAME, " +
		"method.request.querystring.NAME, method.request.multivaluequerystring.NAME, method.request.path.NAME, method.request.body or method.request.body.JSONPATH"
	responseForms = "'literal', stageVariables.NAME, context.NAME, integration.response.header.NAME, " +
		"integration.response.multivalueheader.NAME, integration.response.body or integration.response.body.JSONPATH"
)

func requestSource(text string, route *proxy.Route) (Source, *config.KeyError) {
	rest, found := strings.CutPrefix(text, "method.request.")
	if !found {
		return Source{}, notAnExpression(text, requestForms, "integration.response.", "a request is mapped before there is a response")
	}
	place, name, _ := strings.Cut(rest, ".")
	switch place {
	case "header", "multivalueheader":
		return headerSource(name, place == "multivalueheader")
	case "querystring", "multivaluequerystring":
		if name == "" {
			return Source{}, wrong("the name of the query parameter is missing", requestForms)
		}
		if place == "querystring" {
			return Source{kind: queryParam, text: name}, nil
		}
		return Source{kind: queryParams, text: name}, nil
	case "path":
		if !strings.Contains(route.Resource+"/", "/{"+name+"}/") && !strings.HasSuffix(route.Resource, "/{"+name+"+}") {
			return Source{}, wrong(fmt.Sprintf("the route %q has no path parameter %q", route.Key, name), "")
		}
		return Source{kind: pathParam, text: name}, nil
	case "body":
		return bodySource(name, rest)
	}
	return Source{}, notAnExpression(text, requestForms, "", "")
}

func responseSource(text string) (Source, *config.KeyError) {
	rest, found := strings.CutPrefix(text, "integration.response.")
	if !found {
		return Source{}, notAnExpression(text, responseForms, "method.request.", "a response can't be mapped from the request's parameters: "+
			"let the request template put them into $context.requestOverride, or use a response template, where $input.params() has them")
	}
	place, name, _ := strings.Cut(rest, ".")
	switch place {
	case "header", "multivalueheader":
		return headerSource(name, place == "multivalueheader")
	case "body":
		return bodySource(name, rest)
	}
	return Source{}, notAnExpression(text, responseForms, "", "")
}

// notAnExpression is the error for text, whose hint is special if text begins so.
func notAnExpression(text, forms, begin, special string) *config.KeyError {
	switch {
	case begin != "" && strings.HasPrefix(text, begin):
		return wrong(fmt.Sprintf("%q can't be used here", text), special)
	case strings.Contains(text, "${"):
		return wrong(fmt.Sprintf("%q isn't a mapping expression", text), "a mapping takes the whole value: stageVariables.NAME, without ${}")
	case strings.HasPrefix(text, "$"):
		return wrong(fmt.Sprintf("%q isn't a mapping expression", text), "write it without the $, which is for templates")
	}
	return wrong(fmt.Sprintf("%q isn't a mapping expression", text), "write one of "+forms)
}

func headerSource(name string, all bool) (Source, *config.KeyError) {
	if !http1.ValidFieldName(name) {
		return Source{}, wrong(fmt.Sprintf("%q isn't a header name", name), "letters, digits and -")
	}
	s := Source{kind: headerValue, header: header{name, http1.KnownName(name)}}
	if all {
		s.kind = headerValues
	}
	return s, nil
}

// bodySource is for "body" and "body.JSONPATH", which is rest.
func bodySource(path, rest string) (Source, *config.KeyError) {
	if rest == "body" {
		return Source{kind: wholeBody}, nil
	}
	// AWS has the path without "$."; who writes it means the same.
	compiled, err := expr.Parse("$." + strings.TrimPrefix(path, "$."))
	if err != nil {
		return Source{}, wrong("the JSONPath: "+err.Error(), "as in body.order.items[0].id")
	}
	return Source{kind: bodyPath, path: compiled}, nil
}

// NeedsBody reports whether s takes its value from the content.
func (s *Source) NeedsBody() bool { return s.kind == wholeBody || s.kind == bodyPath }

// Literal returns the text of a value that is known at load.
func (s *Source) Literal() (text string, is bool) {
	return s.text, s.kind == literal || s.kind == stageVariable
}

// ErrNotJSON is the error of a mapping that looks into content that isn't JSON.
var ErrNotJSON = errors.New("the content isn't JSON")

// RequestText returns s's value for a request, and false if there is none. body
// may be nil where s needs none. The text is valid as long as the exchange.
func (s *Source) RequestText(ex *proxy.Exchange, body *Document) (text string, found bool, err error) {
	switch s.kind {
	case pathParam:
		raw, found := ex.Param(s.text)
		return decodedPath(ex, raw), found, nil
	case queryParam:
		raw, found := lastQuery(ex, s.text)
		return decoded(ex, raw), found, nil
	case queryParams:
		return s.joinedQuery(ex)
	case headerValue:
		text, found = s.header.last(ex)
		return text, found, nil
	case headerValues:
		return s.joinedHeader(ex)
	}
	return s.shared(ex, body)
}

// ResponseText is RequestText for the integration's response. Of several values
// of a header it takes the last; EachResponse has them all.
func (s *Source) ResponseText(ex *proxy.Exchange, body *Document) (text string, found bool, err error) {
	if s.kind == headerValue || s.kind == headerValues {
		fields := ex.Back.Fields
		for i := len(fields) - 1; i >= 0; i-- {
			if s.header.is(&fields[i]) {
				return fields[i].Value, true, nil
			}
		}
		return "", false, nil
	}
	return s.shared(ex, body)
}

// Multiple reports whether s stands for all values of a header.
func (s *Source) Multiple() bool { return s.kind == headerValues }

// ResponseValue returns the first value of a header in the integration's
// response from field i on; next is for the call after it, -1 at the end.
func (s *Source) ResponseValue(ex *proxy.Exchange, i int) (value string, next int) {
	for ; i < len(ex.Back.Fields); i++ {
		if f := &ex.Back.Fields[i]; s.header.is(f) {
			return f.Value, i + 1
		}
	}
	return "", -1
}

// shared returns what the sources of both sides have.
func (s *Source) shared(ex *proxy.Exchange, body *Document) (string, bool, error) {
	switch s.kind {
	case literal, stageVariable:
		return s.text, true, nil
	case contextVariable:
		text, found := s.variable.Text(ex)
		return text, found, nil
	case wholeBody:
		text, found := body.text()
		return text, found, nil
	case bodyPath:
		return body.at(s.path)
	}
	return "", false, nil
}

// joinedHeader returns all values of the header. AWS: separated by commas.
func (s *Source) joinedHeader(ex *proxy.Exchange) (string, bool, error) {
	first, i := s.header.each(ex, 0)
	if i < 0 {
		return "", false, nil
	}
	second, i := s.header.each(ex, i)
	if i < 0 {
		return first, true, nil
	}
	b := append(append(append(ex.Text.Begin(), first...), ','), second...)
	for {
		var value string
		if value, i = s.header.each(ex, i); i < 0 {
			return ex.Text.Finish(b), true, nil
		}
		b = append(append(b, ','), value...)
	}
}

func (s *Source) joinedQuery(ex *proxy.Exchange) (string, bool, error) {
	raw, rest, found := eachQuery(ex.In.RawQuery, s.text)
	if !found {
		return "", false, nil
	}
	b := uri.AppendForm(ex.Text.Begin(), raw)
	for {
		if raw, rest, found = eachQuery(rest, s.text); !found {
			return ex.Text.Finish(b), true, nil
		}
		b = uri.AppendForm(append(b, ','), raw)
	}
}

// AppendQuery appends s's value to dst, which holds parameters of a query string
// only: name, which is encoded already, "=" and the value. Without a value
// nothing is appended, and with several as many parameters.
func (s *Source) AppendQuery(dst []byte, name string, ex *proxy.Exchange, body *Document) ([]byte, error) {
	begin := func() {
		if len(dst) > 0 {
			dst = append(dst, '&')
		}
		dst = append(append(dst, name...), '=')
	}
	switch s.kind {
	case literal: // AWS: encoded as the backend needs it
		begin()
		return append(dst, s.text...), nil
	case queryParam:
		if raw, found := lastQuery(ex, s.text); found {
			begin()
			dst = appendEncoded(dst, raw)
		}
		return dst, nil
	case queryParams:
		raw, rest, found := eachQuery(ex.In.RawQuery, s.text)
		for ; found; raw, rest, found = eachQuery(rest, s.text) {
			begin()
			dst = appendEncoded(dst, raw)
		}
		return dst, nil
	case headerValues:
		value, i := s.header.each(ex, 0)
		for ; i >= 0; value, i = s.header.each(ex, i) {
			begin()
			dst = AppendEscapedText(dst, value)
		}
		return dst, nil
	}
	value, found, err := s.RequestText(ex, body)
	if found && err == nil {
		begin()
		dst = AppendEscapedText(dst, value)
	}
	return dst, err
}

// appendEncoded appends an encoded value, encoded in the one way that every
// reader takes alike: AWS decodes parameters and encodes them again.
func appendEncoded(dst []byte, raw string) []byte {
	for raw != "" {
		c, n := uri.FormByte(raw)
		dst, raw = uri.AppendEscaped(dst, c), raw[n:]
	}
	return dst
}

// AppendEscapedText appends text so that it may stand anywhere in a URL.
func AppendEscapedText(dst []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		dst = uri.AppendEscaped(dst, text[i])
	}
	return dst
}

// AppendPath appends s's value as a part of a path, and reports whether there is
// one. A path parameter passes as it came; of other values "/" is encoded, too.
func (s *Source) AppendPath(dst []byte, ex *proxy.Exchange, body *Document) ([]byte, bool, error) {
	switch s.kind {
	case literal, stageVariable:
		return append(dst, s.text...), true, nil
	case pathParam:
		raw, found := ex.Param(s.text)
		return append(dst, raw...), found, nil
	}
	value, found, err := s.RequestText(ex, body)
	if !found || err != nil {
		return dst, false, err
	}
	return AppendEscapedText(dst, value), true, nil
}

// PathParam returns the path parameter that s stands for, if it does.
func (s *Source) PathParam() (name string, is bool) { return s.text, s.kind == pathParam }
