// Package integration holds the kinds of integration that the gateway brings
// along: http_proxy, http and mock.
//
// Their errors at load are *config.KeyError (several are joined). Path is
// relative to the integration's table; a path that begins with "response" is
// relative to the route's table instead.
package integration

import (
	"context"
	"strings"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// HTTPProxy returns the kind http_proxy, which passes request and answer
// through: AWS's HTTP_PROXY. Content streams both ways, and after an upgrade
// that the backend agrees to, everything does.
//
// A reply of status 101 has Tunnel set and keeps the backend's Upgrade field;
// "Connection: Upgrade" is for the server to write.
func HTTPProxy() proxy.Kind {
	return proxy.Kind{Name: "http_proxy", Role: proxy.IntegrationKind, New: newHTTPProxy}
}

func newHTTPProxy(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var bad problems
	t := newOutgoing(b, o, mapping.NewMapper(b.Route), &bad)
	var answers []answerEdits
	if b.Route.Stage.API.Type == config.HTTPType {
		answers = newAnswerEdits(o.Responses, b.Route, &bad)
	} else if len(o.Responses) > 0 {
		bad.add(`type "http_proxy" passes the backend's answer through as it is`, `remove it, or use type = "http"`, "response")
	}
	if len(bad) > 0 {
		return proxy.Steps{}, bad.err()
	}
	return proxy.Steps{
		proxy.IntegrationRequest:  reading(&proxyRequest{outgoing: t, upgrade: o.Integration.Upgrade}, t),
		proxy.Integration:         &send{t.backend},
		proxy.IntegrationResponse: &proxyResponse{binary: b.Route.Stage.API.Binary, answers: answers},
	}, nil
}

// proxyRequest is the integration request of http_proxy.
type proxyRequest struct {
	*outgoing
	upgrade bool
}

// Run fills ex.Out with the client's request.
func (p *proxyRequest) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	chosen, mem, err := p.prepare(ex, true)
	if err != nil {
		return proxy.Continue, err
	}
	in := &ex.In
	passing := proxy.PassingOf(in.Fields)
	fields := ex.Out.Fields[:0]
	for i := range in.Fields {
		f := &in.Fields[i]
		switch f.Known() {
		case http1.Host, http1.Via: // AWS: "Amazon API Gateway important notes", as recorded
			continue
		case http1.XAmznRequestID, http1.XAmzApigwID:
			continue // the gateway's own: a backend must not take a client's for them
		case http1.XHTTPMethodOverride:
			// It has done its work. A backend that heeds it too would run another
			// method than the one that was authorized.
			continue
		}
		// Differs from AWS, which drops Content-Encoding: the content passes as it
		// came, and without its coding nobody could read it.
		if !passing.FromClient(f) || takesTrailers(in, f) {
			fields = http1.AppendCopy(fields, f)
		}
	}
	if p.upgrade && in.Upgrade != "" && passesUpgrade(in) {
		ex.Out.Upgrade = in.Upgrade
	}
	return p.finish(ctx, ex, p.appendOwn(fields, ex), chosen, mem)
}

// takesTrailers reports whether f says that the client can do with trailer
// fields, which is all that TE can say in HTTP/2 (RFC 9113, 8.2.2) and HTTP/3. gRPC backends
// want to hear it; over HTTP/1.1, where it is for one connection, it isn't sent.
func takesTrailers(in *proxy.Request, f *http1.Field) bool {
	return f.Known() == http1.TE && f.Value == "trailers" && (in.Proto == "HTTP/2.0" || in.Proto == "HTTP/3.0")
}

// passesUpgrade reports whether the client's wish to switch protocols is passed
// on. A server may ignore one (RFC 9110, 7.8), and does here if it has content,
// offers a choice, or asks for another version of HTTP or for TLS: requests
// inside such a tunnel would evade every route and authorizer.
func passesUpgrade(in *proxy.Request) bool {
	if in.Body != nil || len(in.Content) > 0 || !http1.ValidFieldName(strings.Replace(in.Upgrade, "/", "", 1)) {
		return false
	}
	name, _, _ := strings.Cut(in.Upgrade, "/")
	return !strings.EqualFold(name, "h2c") && !strings.EqualFold(name, "h2") &&
		!strings.EqualFold(name, "http") && !strings.EqualFold(name, "tls")
}

// proxyResponse is the integration response of http_proxy.
type proxyResponse struct {
	binary  proxy.MediaTypes
	answers []answerEdits // of an HTTP API
}

// Run makes the backend's answer the reply.
func (p *proxyResponse) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	back := &ex.Back
	if back.Tunnel == nil {
		if err := convertBack(ex, mapping.AsIs, p.binary); err != nil {
			return proxy.Continue, err
		}
	}
	passing := proxy.PassingOf(back.Fields)
	fields := ex.Reply.Fields[:0]
	for i := range back.Fields {
		f := &back.Fields[i]
		k := f.Known()
		if back.Status == 101 && k == http1.Connection {
			continue // it says no more than that there is an Upgrade
		}
		if proxied.Has(k) {
			if ex.HTTP { // where nothing gets another name
				if k == http1.Server {
					fields = http1.AppendCopy(fields, f)
				}
				continue
			}
			renamed := remapped[k]
			renamed.Value = f.Value
			fields = append(fields, renamed)
			continue
		}
		switch k {
		case http1.Via, // AWS: "Amazon API Gateway important notes", as recorded
			http1.XAmznRequestID, http1.XAmzApigwID: // the gateway's own follow
			continue
		case http1.Upgrade:
			if back.Status == 101 {
				fields = http1.AppendCopy(fields, f)
			}
			continue
		}
		// Differs from AWS, which drops Content-Encoding: see proxyRequest.
		if !passing.HopByHop(f) {
			fields = http1.AppendCopy(fields, f)
		}
	}
	ex.Reply = proxy.Response{Status: back.Status, Fields: fields, Tunnel: back.Tunnel}
	if back.Tunnel != nil {
		return proxy.Continue, nil
	}
	if len(p.answers) > 0 {
		return proxy.Continue, p.edited(ex)
	}
	passContent(&ex.Reply, ex)
	return proxy.Continue, nil
}

// edited gives the reply its content, with what an HTTP API changes in such an answer.
func (p *proxyResponse) edited(ex *proxy.Exchange) error {
	e := editsFor(p.answers, ex.Back.Status)
	if e != nil && e.body {
		if err := readBack(ex); err != nil {
			return err
		}
	}
	passContent(&ex.Reply, ex)
	if e == nil {
		return nil
	}
	return e.reply(ex)
}
