// Package event turns exchanges into the JSON documents that AWS gives a Lambda
// function, and a function's documents into answers. It is pure: it reads the
// Exchange and writes bytes.
package event

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// AppendRequest appends the proxy event of ex to dst: version 1.0, the one of AWS_PROXY
// in REST APIs, or 2.0 on routes of HTTP APIs that say so. The result is always valid JSON; bytes that aren't UTF-8 become
// U+FFFD, but for the content. It reads what the phases before the integration
// fill; the content must have been read whole (Exchange.ReadWhole), else the
// event has none.
//
// In a custom integration the function gets what was mapped for it instead.
//
// AWS: "Set up Lambda proxy integrations in API Gateway", "Input format of a
// Lambda function for proxy integration".
func AppendRequest(dst []byte, ex *proxy.Exchange) []byte {
	if ex.Out.Custom {
		return append(dst, ex.Out.Content...)
	}
	if ex.Socket != nil {
		return appendSocketEvent(dst, ex)
	}
	switch {
	case !ex.HTTP:
		dst = appendRequest(append(dst, '{'), ex)
		return append(appendBody(dst, ex), '}')
	case ex.Route.Payload == Format2:
		return appendRequest2(dst, ex)
	}
	dst = appendRequest(append(dst, `{"version":"1.0",`...), ex)
	dst = append(dst, `,"body":`...)
	if len(ex.In.Content) == 0 {
		dst = append(dst, "null"...)
	}
	return append(appendContent(dst, ex), '}')
}

// appendRequest appends the members that events of functions and of authorizers
// have in common.
func appendRequest(dst []byte, ex *proxy.Exchange) []byte {
	if ex.Socket != nil {
		return appendSocket(dst, ex)
	}
	var fewHeaders, fewParams [pairsOnStack]pair
	headers := appendHeaders(fewHeaders[:0], ex)
	params := appendQuery(fewParams[:0], ex)
	link(headers, foldedNames)
	link(params, exactNames)

	dst = append(dst, `"resource":`...)
	dst = document.AppendString(dst, ex.Route.Resource)
	dst = append(dst, `,"path":`...)
	dst = document.AppendString(dst, eventPath(ex))
	dst = append(dst, `,"httpMethod":`...)
	dst = document.AppendString(dst, ex.Method)
	dst = append(dst, `,"headers":`...)
	dst = appendLast(dst, headers)
	dst = append(dst, `,"multiValueHeaders":`...)
	dst = appendAll(dst, headers)
	dst = append(dst, `,"queryStringParameters":`...)
	dst = appendLast(dst, params)
	dst = append(dst, `,"multiValueQueryStringParameters":`...)
	dst = appendAll(dst, params)
	dst = append(dst, `,"pathParameters":`...)
	dst = appendPathParameters(dst, ex)
	dst = append(dst, `,"stageVariables":`...)
	dst = appendVariables(dst, ex.Route.Stage.Variables)
	dst = append(dst, `,"requestContext":`...)
	return appendContext(dst, ex)
}

// eventPath is the path without the stage, but with the base path of a custom
// domain. AWS, recorded: of slashes in front, one stays.
func eventPath(ex *proxy.Exchange) string {
	path := ex.FullPath
	if ex.Domain.Default || path == "" {
		path = ex.Path
	}
	for len(path) > 1 && path[0] == '/' && path[1] == '/' {
		path = path[1:]
	}
	return path
}

// appendHeaders appends the client's fields as the event has them, and what the
// gateway says of the client. AWS: "Amazon API Gateway important notes", recorded as column
// AWS_PROXY; header names as they came.
func appendHeaders(all []pair, ex *proxy.Exchange) []pair {
	in := &ex.In
	passing := proxy.PassingOf(in.Fields)
	named := false
	for i := range in.Fields {
		f := &in.Fields[i]
		if passing.FromClient(f) {
			continue
		}
		name := f.Name
		switch f.Known() {
		case http1.Host:
			named = true
		case http1.Authorization, http1.UserAgent: // AWS spells these two itself
			name = f.Known().String()
		}
		all = append(all, pair{name: name, value: f.Value})
	}
	if !named && in.Host != "" { // HTTP/2 has it in :authority
		all = append(all, pair{name: "Host", value: authority(ex)})
	}
	all = append(all, pair{name: "X-Amzn-Trace-Id", value: ex.TraceID()})
	if client := in.Client.Addr().Unmap(); client.IsValid() {
		chain := sourceIP(ex)
		if in.Hops != "" {
			chain = ex.Text.Concat(chain, ", ", in.Hops)
		}
		all = append(all, pair{name: "X-Forwarded-For", value: chain})
	}
	if port := in.Local.Port(); port != 0 {
		all = append(all, pair{name: "X-Forwarded-Port", value: ex.Text.Finish(strconv.AppendUint(ex.Text.Begin(), uint64(port), 10))})
	}
	return append(all, pair{name: "X-Forwarded-Proto", value: in.Scheme})
}

func authority(ex *proxy.Exchange) string {
	host := ex.In.Host
	if strings.IndexByte(host, ':') >= 0 {
		host = ex.Text.Concat("[", host, "]")
	}
	if ex.In.Port == "" {
		return host
	}
	return ex.Text.Concat(host, ":", ex.In.Port)
}

func sourceIP(ex *proxy.Exchange) string {
	client := ex.In.Client.Addr().Unmap().WithZone("")
	if !client.IsValid() {
		return ""
	}
	return ex.Text.Finish(client.AppendTo(ex.Text.Begin()))
}

// appendPathParameters appends the raw values. AWS, recorded: they aren't decoded, but in
// HTTP APIs.
func appendPathParameters(dst []byte, ex *proxy.Exchange) []byte {
	params := ex.Params
	if len(params) == 0 {
		return append(dst, "null"...)
	}
	for i := range params {
		value := params[i].Value
		if ex.HTTP {
			value = unescaped(ex, value)
		}
		dst = appendMember(dst, i == 0, params[i].Name)
		dst = document.AppendString(dst, value)
	}
	return append(dst, '}')
}

// unescaped returns a part of a path without its encoding: "+" is a plus there.
func unescaped(ex *proxy.Exchange, s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	return ex.Text.Finish(uri.AppendPath(ex.Text.Begin(), s))
}

// appendVariables appends the stage variables in the order of their names.
func appendVariables(dst []byte, variables map[string]string) []byte {
	if len(variables) == 0 {
		return append(dst, "null"...)
	}
	var few [32]string
	names := few[:0]
	for name := range variables {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		dst = appendMember(dst, i == 0, name)
		dst = document.AppendString(dst, variables[name])
	}
	return append(dst, '}')
}

// appendContext appends requestContext. AWS: members that aren't set are null.
func appendContext(dst []byte, ex *proxy.Exchange) []byte {
	stage := ex.Route.Stage
	dst = append(dst, `{"accountId":`...)
	dst = document.AppendString(dst, stage.API.AccountID)
	dst = append(dst, `,"apiId":`...)
	dst = document.AppendString(dst, stage.API.ID)
	dst = append(dst, `,"deploymentId":`...)
	dst = appendOrNull(dst, stage.Deployment)
	dst = append(dst, `,"domainName":`...)
	dst = appendOrNull(dst, ex.Domain.Name)
	dst = append(dst, `,"domainPrefix":`...)
	dst = appendOrNull(dst, ex.Domain.Prefix)
	dst = append(dst, `,"extendedRequestId":`...)
	dst = document.AppendString(dst, extendedID(ex))
	dst = append(dst, `,"httpMethod":`...)
	dst = document.AppendString(dst, ex.Method)
	dst = appendIdentity(append(dst, `,"identity":{`...), ex)
	dst = append(dst, `},"path":`...)
	dst = document.AppendString(dst, ex.FullPath)
	// AWS says HTTP/1.1 whatever the client speaks.
	dst = append(dst, `,"protocol":"HTTP/1.1","requestId":`...)
	dst = document.AppendString(dst, ex.ID)
	dst = append(dst, `,"requestTime":"`...)
	dst = ex.Start.UTC().AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	dst = append(dst, `","requestTimeEpoch":`...)
	dst = strconv.AppendInt(dst, ex.Start.UnixMilli(), 10)
	dst = append(dst, `,"resourceId":`...)
	if ex.HTTP { // AWS: "Create AWS Lambda proxy integrations for HTTP APIs", format 1.0
		dst = document.AppendString(dst, ex.Route.Key)
	} else {
		dst = document.AppendString(dst, ex.Route.ResourceID)
	}
	dst = append(dst, `,"resourcePath":`...)
	dst = document.AppendString(dst, ex.Route.Resource)
	dst = append(dst, `,"stage":`...)
	dst = document.AppendString(dst, stage.Name)
	return append(appendAuthorizer(dst, ex), '}')
}

// extendedID is the request id again in HTTP APIs, which have one alone.
func extendedID(ex *proxy.Exchange) string {
	if ex.HTTP {
		return ex.ID
	}
	return ex.ExtendedID
}

// appendIdentity appends the members of identity: who sent the request.
func appendIdentity(dst []byte, ex *proxy.Exchange) []byte {
	caller := &ex.Caller
	id := &caller.Identity
	dst = appendOrNull(append(dst, `"accessKey":`...), id.AccessKey)
	dst = appendOrNull(append(dst, `,"accountId":`...), id.AccountID)
	dst = appendOrNull(append(dst, `,"apiKey":`...), caller.Key)
	dst = appendOrNull(append(dst, `,"apiKeyId":`...), caller.KeyID)
	dst = appendOrNull(append(dst, `,"caller":`...), id.Caller)
	dst = append(dst, `,"cognitoAuthenticationProvider":null,"cognitoAuthenticationType":null,"cognitoIdentityId":null,"cognitoIdentityPoolId":null`...)
	dst = appendOrNull(append(dst, `,"principalOrgId":`...), id.OrgID)
	dst = appendOrNull(append(dst, `,"sourceIp":`...), sourceIP(ex))
	dst = appendOrNull(append(dst, `,"user":`...), id.User)
	dst = appendOrNull(append(dst, `,"userAgent":`...), ex.In.Fields.GetKnown(http1.UserAgent))
	dst = appendOrNull(append(dst, `,"userArn":`...), id.UserARN)
	return appendCertificate(dst, ex.Domain.Certificate)
}

// appendCertificate appends the member clientCert, which events have when the domain
// asks for certificates and the client has one.
func appendCertificate(dst []byte, c *proxy.ClientCertificate) []byte {
	if c == nil {
		return dst
	}
	dst = append(dst, `,"clientCert":{"clientCertPem":`...)
	dst = document.AppendString(dst, c.PEM)
	dst = append(dst, `,"subjectDN":`...)
	dst = document.AppendString(dst, c.Subject)
	dst = append(dst, `,"issuerDN":`...)
	dst = document.AppendString(dst, c.Issuer)
	dst = append(dst, `,"serialNumber":`...)
	dst = document.AppendString(dst, c.Serial)
	dst = append(dst, `,"validity":{"notBefore":`...)
	dst = document.AppendString(dst, c.NotBefore)
	dst = append(dst, `,"notAfter":`...)
	dst = document.AppendString(dst, c.NotAfter)
	return append(dst, "}}"...)
}

// appendAuthorizer appends the member authorizer if one was asked, other than about
// a signature, whose caller is in identity. AWS: the values of its context are
// strings here, whatever they were.
func appendAuthorizer(dst []byte, ex *proxy.Exchange) []byte {
	caller := &ex.Caller
	if len(caller.Context) == 0 && (caller.Principal == "" || caller.Identity.AccessKey != "") {
		return dst
	}
	dst = append(dst, `,"authorizer":`...)
	if len(caller.Context) > 0 && strings.HasPrefix(caller.Context[0].Name, claimPrefix) {
		return append(appendClaims(dst, caller.Context), '}')
	}
	dst = appendMember(dst, true, "principalId")
	dst = document.AppendString(dst, caller.Principal)
	for i := range caller.Context {
		// The gateway's own members can't be claimed by an authorizer's context.
		if name := caller.Context[i].Name; name != "principalId" && name != "integrationLatency" {
			dst = appendMember(dst, false, name)
			dst = document.AppendString(dst, caller.Context[i].Value)
		}
	}
	dst = appendMember(dst, false, "integrationLatency")
	return append(strconv.AppendInt(dst, int64(ex.Times.Authorizer/time.Millisecond), 10), '}')
}

// claimPrefix is what the names of a token's claims begin with, which are all that
// an authorizer who judges tokens has to say.
const claimPrefix = "claims."

// appendClaims appends the object that has the claims of a token as an object. AWS:
// "Integrate a REST API with a user pool", requestContext.authorizer.claims; nothing
// else is there.
func appendClaims(dst []byte, context []proxy.Param) []byte {
	dst = appendMember(dst, true, "claims")
	for i := range context {
		dst = appendMember(dst, i == 0, strings.TrimPrefix(context[i].Name, claimPrefix))
		dst = document.AppendString(dst, context[i].Value)
	}
	return append(dst, '}')
}

// appendBody appends the last two members. AWS: content of a binary media type
// is base64, and in other content what isn't UTF-8 becomes U+FFFD.
//
// Differs from AWS in an API without binary media types: content that isn't UTF-8
// goes as base64, so that none is ever damaged.
func appendBody(dst []byte, ex *proxy.Exchange) []byte {
	content, types := ex.In.Content, ex.Route.Stage.API.Binary
	dst = append(dst, `,"body":`...)
	switch {
	case len(content) == 0:
		return append(dst, `null,"isBase64Encoded":false`...)
	case types.Has(ex.In.Fields.GetKnown(http1.ContentType)), len(types) == 0 && !utf8.Valid(content):
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, content)
		return append(dst, `","isBase64Encoded":true`...)
	}
	dst = document.AppendString(dst, view(content))
	return append(dst, `,"isBase64Encoded":false`...)
}
