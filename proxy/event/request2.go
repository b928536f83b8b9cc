package event

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Format2 is the version of the events that HTTP APIs have and REST APIs haven't.
const Format2 = "2.0"

// appendRequest2 appends the event 2.0 of an integration. What a request doesn't have is
// left out and not null, but for authentication: readers that are strict take no null.
//
// AWS: "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", "Payload format
// version".
func appendRequest2(dst []byte, ex *proxy.Exchange) []byte {
	dst = append(dst, `{"version":"2.0","routeKey":`...)
	dst = document.AppendString(dst, ex.Route.Key)
	dst = appendParts2(dst, ex, integrationContext)
	if len(ex.In.Content) > 0 {
		dst = append(dst, `,"body":`...)
	}
	return append(appendContent(dst, ex), '}')
}

// Whose requestContext it is: an authorizer's doesn't say who calls.
type contextOf bool

const (
	authorizerContext  contextOf = false
	integrationContext contextOf = true
)

// appendParts2 appends the members from rawPath on that events 2.0 of functions and of
// authorizers have in common.
func appendParts2(dst []byte, ex *proxy.Exchange, whose contextOf) []byte {
	var fewHeaders, fewParams [pairsOnStack]pair
	headers, params := appendHeaders(fewHeaders[:0], ex), appendQuery(fewParams[:0], ex)
	dst = append(dst, `,"rawPath":`...)
	dst = document.AppendString(dst, ex.FullPath)
	dst = append(dst, `,"rawQueryString":`...)
	dst = document.AppendString(dst, ex.In.RawQuery)
	dst, headers = appendCookies(dst, headers)
	for i := range headers {
		headers[i].name = strings.ToLower(headers[i].name)
	}
	link(headers, exactNames)
	dst = append(dst, `,"headers":`...)
	dst = appendJoined(dst, headers)
	if len(params) > 0 {
		link(params, exactNames)
		dst = append(dst, `,"queryStringParameters":`...)
		dst = appendJoined(dst, params)
	}
	dst = append(dst, `,"requestContext":`...)
	dst = appendContext2(dst, ex, whose)
	if len(ex.Params) > 0 {
		dst = append(dst, `,"pathParameters":`...)
		dst = appendPathParameters(dst, ex)
	}
	if variables := ex.Route.Stage.Variables; len(variables) > 0 {
		dst = append(dst, `,"stageVariables":`...)
		dst = appendVariables(dst, variables)
	}
	return dst
}

// appendContext2 appends requestContext of version 2.0.
func appendContext2(dst []byte, ex *proxy.Exchange, whose contextOf) []byte {
	stage := ex.Route.Stage
	dst = append(dst, `{"accountId":`...)
	dst = document.AppendString(dst, stage.API.AccountID)
	dst = append(dst, `,"apiId":`...)
	dst = document.AppendString(dst, stage.API.ID)
	dst = appendAuthentication(append(dst, `,"authentication":`...), ex.Domain.Certificate)
	if whose == integrationContext {
		dst = appendAuthorizer2(dst, ex)
	}
	dst = append(dst, `,"domainName":`...)
	dst = document.AppendString(dst, ex.Domain.Name)
	dst = append(dst, `,"domainPrefix":`...)
	dst = document.AppendString(dst, ex.Domain.Prefix)
	dst = append(dst, `,"http":{"method":`...)
	dst = document.AppendString(dst, ex.Method)
	dst = append(dst, `,"path":`...)
	dst = document.AppendString(dst, ex.FullPath)
	dst = append(dst, `,"protocol":"HTTP/1.1","sourceIp":`...)
	dst = document.AppendString(dst, sourceIP(ex))
	dst = append(dst, `,"userAgent":`...)
	dst = document.AppendString(dst, ex.In.Fields.GetKnown(http1.UserAgent))
	dst = append(dst, `},"requestId":`...)
	dst = document.AppendString(dst, ex.ID)
	dst = append(dst, `,"routeKey":`...)
	dst = document.AppendString(dst, ex.Route.Key)
	dst = append(dst, `,"stage":`...)
	dst = document.AppendString(dst, stage.Name)
	dst = append(dst, `,"time":"`...)
	dst = ex.Start.UTC().AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	dst = append(dst, `","timeEpoch":`...)
	return append(strconv.AppendInt(dst, ex.Start.UnixMilli(), 10), '}')
}

func appendAuthentication(dst []byte, c *proxy.ClientCertificate) []byte {
	if c == nil {
		return append(dst, "null"...)
	}
	at := len(dst)
	dst = appendCertificate(dst, c)
	dst[at] = '{' // it begins with the comma behind another member
	return append(dst, '}')
}

// appendAuthorizer2 appends the member authorizer, below it who was asked: iam, jwt or
// lambda. AWS: as appendRequest2, and "Control access to HTTP APIs with AWS Lambda
// authorizers".
func appendAuthorizer2(dst []byte, ex *proxy.Exchange) []byte {
	caller := &ex.Caller
	id := &caller.Identity
	switch {
	case id.AccessKey != "":
		dst = append(dst, `,"authorizer":{"iam":{"accessKey":`...)
		dst = document.AppendString(dst, id.AccessKey)
		dst = appendOrNull(append(dst, `,"accountId":`...), id.AccountID)
		dst = appendOrNull(append(dst, `,"callerId":`...), id.Caller)
		dst = append(dst, `,"cognitoIdentity":null`...)
		dst = appendOrNull(append(dst, `,"principalOrgId":`...), id.OrgID)
		dst = appendOrNull(append(dst, `,"userArn":`...), id.UserARN)
		dst = appendOrNull(append(dst, `,"userId":`...), id.User)
		return append(dst, "}}"...)
	case len(caller.Context) > 0 && strings.HasPrefix(caller.Context[0].Name, claimPrefix):
		dst = append(dst, `,"authorizer":{"jwt":`...)
		dst = appendClaims(dst, caller.Context)
		dst = append(dst, `,"scopes":`...)
		return append(appendScopes(dst, ex), "}}"...)
	case caller.Document != "":
		dst = append(dst, `,"authorizer":{"lambda":`...)
		return append(append(dst, caller.Document...), '}')
	case len(caller.Context) == 0:
		return dst
	}
	dst = append(dst, `,"authorizer":{"lambda":`...)
	for i := range caller.Context {
		dst = appendMember(dst, i == 0, caller.Context[i].Name)
		dst = document.AppendString(dst, caller.Context[i].Value)
	}
	return append(dst, "}}"...)
}

// appendScopes appends which of the route's scopes the caller's token has; null for a route
// that asks for none.
func appendScopes(dst []byte, ex *proxy.Exchange) []byte {
	if len(ex.Route.Scopes) == 0 {
		return append(dst, "null"...)
	}
	n := 0
	dst = append(dst, '[')
	for _, scope := range ex.Route.Scopes {
		if hasScope(ex.Caller.Context, scope) {
			dst = document.AppendString(appendComma(dst, n), scope)
			n++
		}
	}
	return append(dst, ']')
}

// hasScope reports whether the claims of a token, as texts, have a scope. Lists are "[a b]".
func hasScope(context []proxy.Param, scope string) bool {
	for i := range context {
		if name := context[i].Name; name != claimPrefix+"scope" && name != claimPrefix+"scp" {
			continue
		}
		for one := range strings.SplitSeq(strings.Trim(context[i].Value, "[]"), " ") {
			if one == scope {
				return true
			}
		}
	}
	return false
}

// appendContent appends the value of body, unless there is no content, and the member
// isBase64Encoded, of an event of an HTTP API: what isn't text, by its type or for being
// coded, is base64. Differs from AWS, which may damage what says that it is text and isn't
// UTF-8: it is base64, too.
func appendContent(dst []byte, ex *proxy.Exchange) []byte {
	content := ex.In.Content
	switch {
	case len(content) == 0:
		return append(dst, `,"isBase64Encoded":false`...)
	case !isText(ex.In.Fields) || !utf8.Valid(content):
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, content)
		return append(dst, `","isBase64Encoded":true`...)
	}
	dst = document.AppendString(dst, view(content))
	return append(dst, `,"isBase64Encoded":false`...)
}

// isText reports whether content is text by what is said of it, or by nothing being said.
func isText(fields http1.Fields) bool {
	if fields.HasKnown(http1.ContentEncoding) {
		return false
	}
	media := proxy.FirstMediaType(fields.GetKnown(http1.ContentType))
	if media == "" {
		return true
	}
	top, sub, _ := strings.Cut(media, "/")
	if strings.EqualFold(top, "text") {
		return true
	}
	if !strings.EqualFold(top, "application") {
		return endsIn(sub, "+json") || endsIn(sub, "+xml")
	}
	return strings.EqualFold(sub, "json") || strings.EqualFold(sub, "javascript") || strings.EqualFold(sub, "xml") ||
		endsIn(sub, "+json") || endsIn(sub, "+xml")
}

func endsIn(s, suffix string) bool {
	return len(s) > len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
