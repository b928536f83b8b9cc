package event

import (
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/http1"
)

// AppendToken appends the event of a TOKEN authorizer, which sees nothing of ex but
// the token and which method is called. It is valid JSON, as all events are.
//
// AWS: "Input to an API Gateway Lambda authorizer".
func AppendToken(dst []byte, ex *proxy.Exchange, token string) []byte {
	dst = append(dst, `{"type":"TOKEN","authorizationToken":`...)
	dst = document.AppendString(dst, token)
	dst = append(dst, `,"methodArn":`...)
	return append(appendARN(dst, ex), '}')
}

// AppendAuthorization appends the event of a REQUEST authorizer, version 1.0: what a
// function gets, but without content. AWS: as above.
func AppendAuthorization(dst []byte, ex *proxy.Exchange) []byte {
	dst = append(dst, `{"type":"REQUEST","methodArn":`...)
	dst = append(appendARN(dst, ex), ',')
	return append(appendRequest(dst, ex), '}')
}

// AppendAuthorization2 appends the event of a REQUEST authorizer, version 2.0.
// identity are the values of its identity sources. What a request doesn't have is
// left out and not null, but for authentication.
//
// AWS: "Control access to HTTP APIs with AWS Lambda authorizers", "Payload format version".
func AppendAuthorization2(dst []byte, ex *proxy.Exchange, identity []string) []byte {
	var fewHeaders, fewParams [pairsOnStack]pair
	headers, params := appendHeaders(fewHeaders[:0], ex), appendQuery(fewParams[:0], ex)
	dst = append(dst, `{"version":"2.0","type":"REQUEST","routeArn":`...)
	dst = appendARN(dst, ex)
	if len(identity) > 0 {
		dst = append(dst, `,"identitySource":[`...)
		for i, value := range identity {
			dst = document.AppendString(appendComma(dst, i), value)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, `,"routeKey":`...)
	dst = document.AppendString(dst, ex.Route.Key)
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
	dst = appendContext2(dst, ex)
	if len(ex.Params) > 0 {
		dst = append(dst, `,"pathParameters":`...)
		dst = appendPathParameters(dst, ex.Params)
	}
	if variables := ex.Route.Stage.Variables; len(variables) > 0 {
		dst = append(dst, `,"stageVariables":`...)
		dst = appendVariables(dst, variables)
	}
	return append(dst, '}')
}

// appendARN appends the called method's name as a JSON string.
func appendARN(dst []byte, ex *proxy.Exchange) []byte {
	return document.AppendString(dst, ex.Text.Finish(proxy.AppendMethodARN(ex.Text.Begin(), ex)))
}

// appendCookies appends the member cookies if there are any, and returns the
// headers without them.
func appendCookies(dst []byte, headers []pair) (_ []byte, others []pair) {
	others = headers[:0]
	cookies := 0
	for i := range headers {
		if http1.KnownName(headers[i].name) != http1.Cookie {
			others = append(others, headers[i])
			continue
		}
		for rest := headers[i].value; rest != ""; {
			var cookie string
			cookie, rest, _ = strings.Cut(rest, ";")
			if cookie = strings.Trim(cookie, " \t"); cookie == "" {
				continue
			}
			if cookies == 0 {
				dst = append(dst, `,"cookies":[`...)
			}
			dst = document.AppendString(appendComma(dst, cookies), cookie)
			cookies++
		}
	}
	if cookies > 0 {
		dst = append(dst, ']')
	}
	return dst, others
}

// appendJoined appends an object of each name's values, with commas between them.
func appendJoined(dst []byte, all []pair) []byte {
	first := true
	dst = append(dst, '{')
	for i := range all {
		if all[i].more {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(document.AppendString(dst, all[i].name), ':')
		dst = document.AppendString(dst, all[i].value)
		for j := all[i].next; j != 0; j = all[j].next {
			dst = append(dst[:len(dst)-1], ',') // in the place of the closing quote
			end := len(dst)
			dst = document.AppendString(dst, all[j].value)
			dst = append(dst[:end], dst[end+1:]...) // without the opening one
		}
	}
	return append(dst, '}')
}

func appendComma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

// appendContext2 appends requestContext of version 2.0.
func appendContext2(dst []byte, ex *proxy.Exchange) []byte {
	stage := ex.Route.Stage
	dst = append(dst, `{"accountId":`...)
	dst = document.AppendString(dst, stage.API.AccountID)
	dst = append(dst, `,"apiId":`...)
	dst = document.AppendString(dst, stage.API.ID)
	dst = appendAuthentication(append(dst, `,"authentication":`...), ex.Domain.Certificate)
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
