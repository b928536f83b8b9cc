package mapping

import (
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// sockets are the names of $context that only WebSocket APIs have. AWS: "WebSocket API
// mapping template reference for API Gateway".
var sockets = map[string]variable{
	"connectionId":         connectionID,
	"connectedAt":          connectedAt,
	"eventType":            eventType,
	"messageId":            messageID,
	"messageDirection":     messageDirection,
	"routeKey":             socketRouteKey,
	"disconnectStatusCode": disconnectCode,
	"disconnectReason":     disconnectReason,
}

// ofSocket returns the variable's value if it says something of a connection.
func (v *Variable) ofSocket(ex *proxy.Exchange) string {
	s := ex.Socket
	if s == nil {
		return ""
	}
	switch v.what {
	case connectionID:
		return s.ConnectionID
	case connectedAt:
		return ex.Text.Finish(strconv.AppendInt(ex.Text.Begin(), s.ConnectedAt.UnixMilli(), 10))
	case eventType:
		return s.Event.String()
	case messageID:
		return s.MessageID
	case messageDirection:
		return "IN" // what goes out is no exchange of its own
	case socketRouteKey:
		if ex.Route != nil {
			return ex.Route.Key
		}
	case disconnectCode:
		if s.Event == proxy.SocketDisconnect {
			return strconv.Itoa(s.Code)
		}
	case disconnectReason:
		return s.Reason
	}
	return ""
}

// ofSockets reports whether only WebSocket APIs have the variable.
func (v *Variable) ofSockets() bool { return v.what >= connectionID && v.what <= disconnectReason }

// isSocket reports whether a route is one of a WebSocket API.
func isSocket(r *proxy.Route) bool { return r.Stage.API.Type == config.WebSocketType }

// socketSource returns a source of a WebSocket API's route as other APIs write it. AWS:
// "Set up data mapping for WebSocket APIs". What isn't the message's can be had at
// $connect alone.
func socketSource(text string, r *proxy.Route) (string, *config.KeyError) {
	rest, is := strings.CutPrefix(text, "route.request.")
	if !is {
		if strings.HasPrefix(text, "method.request.") {
			return "", wrong("WebSocket APIs have no methods", "write route.request."+strings.TrimPrefix(text, "method.request."))
		}
		return text, nil
	}
	place, _, _ := strings.Cut(rest, ".")
	switch {
	case place == "path":
		return "", wrong("WebSocket APIs have no path parameters", "")
	case place != "body" && r.Key != config.ConnectRoute:
		return "", wrong(rest+" is there at $connect alone", "let $connect's integration remember it by the connectionId, or an authorizer put it into its context")
	}
	return "method.request." + rest, nil
}
