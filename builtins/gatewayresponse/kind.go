// Package gatewayresponse makes the answers that a gateway itself gives, when it
// refuses a request or fails, as an API's gateway_response tables say.
//
// AWS: "Gateway responses in API Gateway". A type that is customised is used alone;
// else DEFAULT_4XX or DEFAULT_5XX counts, and else what the type has by itself.
package gatewayresponse

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// The types that stand for all others of their class.
const (
	default4xx = "DEFAULT_4XX"
	default5xx = "DEFAULT_5XX"
)

// Kind returns the kind of [api.x.gateway_response.y]. It has no steps: it makes
// itself the stage's Refusal.
func Kind() proxy.Kind {
	return proxy.Kind{Name: "gateway_response", Role: proxy.GatewayResponseKind, New: newRefusal}
}

func newRefusal(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	stage := b.Route.Stage
	api := o.Config.API[stage.API.Name]
	c := compiler{stage: stage, cors: api.CORS != nil}
	made := map[string]*response{}
	for _, name := range slices.Sorted(maps.Keys(api.GatewayResponse)) {
		if c.known(name) {
			made[name] = c.response(name, api.GatewayResponse[name])
		}
	}
	if len(c.wrong) > 0 {
		return proxy.Steps{}, errors.Join(c.wrong...)
	}
	r := &refusal{nowhere: &proxy.Route{Stage: stage}}
	for kind := range proxy.FaultKinds {
		row := &r.rows[kind]
		row.name = kind.String()
		if !customisable(kind) {
			row.name = fallback(kind)
		}
		if row.response = made[kind.String()]; row.response == nil {
			row.response = made[fallback(kind)]
		}
	}
	stage.Refusal = r
	return proxy.Steps{}, nil
}

// customisable reports whether a kind of fault has a response of its own: AWS's,
// and those of ours that an exchange can end with once its API is known.
//
// Differs from AWS: REQUEST_TOO_LARGE can be customised, because pages of other
// origins can't read the answer otherwise, and our own failures have names.
func customisable(kind proxy.FaultKind) bool {
	switch kind {
	case proxy.BadRequest, proxy.Overloaded, proxy.PluginFailure, proxy.PluginTimeout, proxy.Internal:
		return true
	}
	return kind > proxy.NoFault && kind <= proxy.WAFFiltered
}

// fallback returns the type that stands for kind where it has none of its own.
func fallback(kind proxy.FaultKind) string {
	if kind.Status() < 500 {
		return default4xx
	}
	return default5xx
}

// compiler builds the responses of one stage.
type compiler struct {
	stage *proxy.Stage
	cors  bool // the API has a cors table
	wrong []error
}

func (c *compiler) add(text, hint string, path ...string) {
	c.wrong = append(c.wrong, &config.KeyError{Path: append([]string{"gateway_response"}, path...), Text: text, Hint: hint})
}

// known reports whether there is a type called name.
func (c *compiler) known(name string) bool {
	names := []string{default4xx, default5xx}
	for kind := range proxy.FaultKinds {
		if customisable(kind) {
			names = append(names, kind.String())
		}
	}
	if slices.Contains(names, name) {
		return true
	}
	hint := "types: " + strings.Join(slices.Compact(names), ", ")
	if meant := config.Closest(name, names); meant != "" {
		hint = fmt.Sprintf("did you mean %q?", meant)
	}
	c.add(fmt.Sprintf("there is no response type %q", name), hint, name)
	return false
}

func (c *compiler) response(name string, g config.GatewayResponse) *response {
	r := &response{status: g.Status}
	if g.Status == 204 || g.Status == 205 || g.Status == 304 {
		c.add(fmt.Sprintf("an answer of status %d has no content, so nobody learns what was wrong", g.Status), "choose another status", name, "status")
	}
	for _, target := range slices.Sorted(maps.Keys(g.Parameters)) {
		at := []string{name, "parameters", target}
		header, found := strings.CutPrefix(target, "gatewayresponse.header.")
		if !found {
			c.add(fmt.Sprintf("%q is nothing that an answer has", target), `write it as "gatewayresponse.header.NAME"`, at...)
			continue
		}
		c.checkHeader(header, r, at)
		source, err := parseSource(g.Parameters[target], c.stage)
		if err != nil {
			c.add(err.Text, err.Hint, at...)
			continue
		}
		if text, is := source.literal(); is && !http1.ValidFieldValue(text) {
			c.add("the value holds a control character, or begins or ends with white space", "", at...)
		}
		r.headers = append(r.headers, headerOf{http1.NewField(header, ""), source})
	}
	for _, mediaType := range slices.Sorted(maps.Keys(g.Template)) {
		at := []string{name, "template", mediaType}
		if slices.ContainsFunc(r.bodies, func(b body) bool { return strings.EqualFold(b.mediaType, mediaType) }) {
			c.add(fmt.Sprintf("%s is there twice: case makes no difference", mediaType), "", at...)
		}
		text, err := g.Template[mediaType].Read()
		var key *config.KeyError
		if errors.As(err, &key) {
			c.add(key.Text, key.Hint, append(at, key.Path...)...)
			continue
		}
		t, bad := parseTemplate(text, mediaType, c.stage)
		if bad != nil {
			if g.Template[mediaType].File != "" {
				at = append(at, "file")
			}
			c.add(bad.Text, bad.Hint, at...)
		}
		r.bodies = append(r.bodies, body{strings.ToLower(mediaType), http1.NewField("Content-Type", mediaType), t})
	}
	return r
}

// checkHeader judges the name of a header that r is to set.
func (c *compiler) checkHeader(name string, r *response, at []string) {
	if !http1.ValidFieldName(name) {
		c.add(fmt.Sprintf("%q isn't a header name", name), "letters, digits and -", at...)
		return
	}
	if slices.ContainsFunc(r.headers, func(h headerOf) bool { return strings.EqualFold(h.field.Name, name) }) {
		c.add(name+" is there twice: case makes no difference", "", at...)
	}
	switch http1.KnownName(name) {
	case http1.Connection, http1.ContentLength, http1.TransferEncoding, http1.TE, http1.Trailer, http1.Upgrade, http1.KeepAlive, http1.ProxyConnection, http1.HTTP2Settings:
		c.add(name+" belongs to the connection, which is the gateway's", "remove it", at...)
	case http1.XAmznRequestID, http1.XAmzApigwID:
		c.add(name+" is the gateway's own", "remove it", at...)
	}
	if c.cors && len(name) > 15 && strings.EqualFold(name[:15], "access-control-") {
		c.add(name+" is what the API's cors table says, here too", "remove it, or the cors table", at...)
	}
}

// source is where a header or a template takes a value from.
type source struct {
	mapping.Source
	ofFault faultValue
}

// faultValue is a part of $context.error.
type faultValue uint8

const (
	notOfFault faultValue = iota
	faultMessage
	faultMessageString
	faultResponseType
	faultValidation
)

// faultValues are the names below $context.error.
var faultValues = map[string]faultValue{
	"message":               faultMessage,
	"messageString":         faultMessageString,
	"responseType":          faultResponseType,
	"validationErrorString": faultValidation,
}

// parseSource compiles a mapping expression for answers to requests of any route.
func parseSource(text string, stage *proxy.Stage) (source, *config.KeyError) {
	if name, found := strings.CutPrefix(text, "context.error."); found {
		v, known := faultValues[name]
		if !known {
			return source{}, &config.KeyError{Text: fmt.Sprintf("there is no context variable %q", "error."+name),
				Hint: "there are: error.message, error.messageString, error.responseType, error.validationErrorString"}
		}
		return source{ofFault: v}, nil
	}
	anywhere := &proxy.Route{Stage: stage}
	if name, found := strings.CutPrefix(text, "method.request.path."); found {
		anywhere.Resource = "/{" + name + "}" // whichever route it was may have it
	}
	s, err := mapping.ParseSource(text, mapping.Request, anywhere)
	if err == nil && s.NeedsBody() {
		err = &config.KeyError{Text: "a gateway response can't have the request's content", Hint: "take a header, a query or path parameter, context.NAME or stageVariables.NAME"}
	}
	return source{Source: s}, err
}

// literal returns the value that is known at load.
func (s *source) literal() (string, bool) {
	if s.ofFault != notOfFault {
		return "", false
	}
	return s.Literal()
}
