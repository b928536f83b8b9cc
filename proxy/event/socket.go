package event

import (
	"strconv"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/http1"
)

// appendSocketEvent appends the event of an exchange of a WebSocket API. AWS: "Set up
// data mapping for WebSocket APIs", and events that were captured.
func appendSocketEvent(dst []byte, ex *proxy.Exchange) []byte {
	dst = appendSocket(append(dst, '{'), ex)
	if ex.Socket.Event == proxy.SocketMessage {
		dst = append(dst, `,"body":`...)
		dst = appendOrNull(dst, view(ex.In.Content)) // a message is text, always
	}
	return append(dst, `,"isBase64Encoded":false}`...)
}

// appendSocket appends the members that events of functions and of authorizers have in
// common in a WebSocket API. What there is nothing to say of isn't there.
func appendSocket(dst []byte, ex *proxy.Exchange) []byte {
	switch ex.Socket.Event {
	case proxy.SocketConnect:
		var fewHeaders, fewParams [pairsOnStack]pair
		headers, params := appendHeaders(fewHeaders[:0], ex), appendQuery(fewParams[:0], ex)
		dst = appendSocketHeaders(dst, headers)
		if len(params) > 0 {
			link(params, exactNames)
			dst = append(dst, `,"queryStringParameters":`...)
			dst = appendLast(dst, params)
			dst = append(dst, `,"multiValueQueryStringParameters":`...)
			dst = appendAll(dst, params)
		}
		dst = append(dst, ',')
	case proxy.SocketDisconnect: // AWS, captured: these four, and most of them empty
		var few [4]pair
		dst = appendSocketHeaders(dst, append(few[:0],
			pair{name: "Host", value: authority(ex)}, pair{name: "x-api-key"}, pair{name: "X-Forwarded-For"}, pair{name: "x-restapi"}))
		dst = append(dst, ',')
	}
	if variables := ex.Route.Stage.Variables; len(variables) > 0 {
		dst = append(dst, `"stageVariables":`...)
		dst = append(appendVariables(dst, variables), ',')
	}
	dst = append(dst, `"requestContext":`...)
	return appendSocketContext(dst, ex)
}

func appendSocketHeaders(dst []byte, headers []pair) []byte {
	link(headers, foldedNames)
	dst = append(dst, `"headers":`...)
	dst = appendLast(dst, headers)
	dst = append(dst, `,"multiValueHeaders":`...)
	return appendAll(dst, headers)
}

func appendSocketContext(dst []byte, ex *proxy.Exchange) []byte {
	s := ex.Socket
	text := func(name, value string) {
		dst = append(append(append(dst, `,"`...), name...), `":`...)
		dst = document.AppendString(dst, value)
	}
	number := func(name string, value int64) {
		dst = append(append(append(dst, `,"`...), name...), `":`...)
		dst = strconv.AppendInt(dst, value, 10)
	}
	dst = append(dst, `{"routeKey":`...)
	dst = document.AppendString(dst, ex.Route.Key)
	switch s.Event {
	case proxy.SocketMessage:
		text("messageId", s.MessageID)
	case proxy.SocketDisconnect:
		number("disconnectStatusCode", int64(s.Code))
		text("disconnectReason", s.Reason)
	}
	text("eventType", s.Event.String())
	text("extendedRequestId", ex.ExtendedID)
	dst = append(dst, `,"requestTime":"`...)
	dst = ex.Start.UTC().AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	dst = append(dst, '"')
	text("messageDirection", "IN")
	text("stage", ex.Route.Stage.Name)
	number("connectedAt", s.ConnectedAt.UnixMilli())
	number("requestTimeEpoch", ex.Start.UnixMilli())
	dst = appendSocketIdentity(dst, ex)
	text("requestId", ex.ID)
	text("domainName", ex.Domain.Name)
	text("connectionId", s.ConnectionID)
	text("apiId", ex.Route.Stage.API.ID)
	return append(appendAuthorizer(dst, ex), '}')
}

// appendSocketIdentity appends who is connected: what is known of that.
func appendSocketIdentity(dst []byte, ex *proxy.Exchange) []byte {
	caller, id := &ex.Caller, &ex.Caller.Identity
	dst = append(dst, `,"identity":{"sourceIp":`...)
	dst = document.AppendString(dst, ex.ClientAddress())
	for _, member := range [...]proxy.Param{
		{Name: "userAgent", Value: ex.In.Fields.GetKnown(http1.UserAgent)},
		{Name: "accessKey", Value: id.AccessKey}, {Name: "accountId", Value: id.AccountID}, {Name: "caller", Value: id.Caller},
		{Name: "principalOrgId", Value: id.OrgID}, {Name: "user", Value: id.User}, {Name: "userArn", Value: id.UserARN},
		{Name: "apiKey", Value: caller.Key}, {Name: "apiKeyId", Value: caller.KeyID},
	} {
		if member.Value != "" {
			dst = appendMember(dst, false, member.Name)
			dst = document.AppendString(dst, member.Value)
		}
	}
	return append(appendCertificate(dst, ex.Domain.Certificate), '}')
}
