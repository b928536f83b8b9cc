package event

import (
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
// function gets, but without content. In HTTP APIs it has the values of the identity
// sources, too. AWS: as above; "Control access to HTTP APIs with AWS Lambda authorizers".
func AppendAuthorization(dst []byte, ex *proxy.Exchange, identity []string) []byte {
	dst = append(dst, '{')
	if ex.HTTP {
		dst = append(dst, `"version":"1.0",`...)
	}
	dst = append(dst, `"type":"REQUEST","methodArn":`...)
	dst = appendARN(dst, ex)
	if ex.HTTP && len(identity) > 0 {
		all := ex.Text.Begin()
		for i, value := range identity {
			all = append(appendComma(all, i), value...)
		}
		joined := ex.Text.Finish(all)
		dst = append(dst, `,"identitySource":`...)
		dst = document.AppendString(dst, joined)
		dst = append(dst, `,"authorizationToken":`...)
		dst = document.AppendString(dst, joined)
	}
	return append(appendRequest(append(dst, ','), ex), '}')
}

// AppendAuthorization2 appends the event of a REQUEST authorizer, version 2.0.
// identity are the values of its identity sources. What a request doesn't have is
// left out and not null, but for authentication.
//
// AWS: "Control access to HTTP APIs with AWS Lambda authorizers", "Payload format version".
func AppendAuthorization2(dst []byte, ex *proxy.Exchange, identity []string) []byte {
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
	return append(appendParts2(dst, ex, authorizerContext), '}')
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
