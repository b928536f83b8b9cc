package event

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// newSocketExchange returns an exchange of the WebSocket API dl7ptocha9.
func newSocketExchange(key string, s proxy.Socket) *proxy.Exchange {
	ex := newExchange("GET /", "User-Agent: Browser/1.0")
	ex.ID, ex.ExtendedID = "R1knPH17NjMFftw=", "R1knPH17NjMFftw="
	stage := &proxy.Stage{API: &proxy.API{Name: "chat", ID: "dl7ptocha9", Type: "websocket"}, Name: "prod"}
	ex.Route, ex.Stage = &proxy.Route{Stage: stage, Key: key}, stage
	s.ConnectionID, s.ConnectedAt = "R1kmxc2VNjMCFIA=", time.UnixMilli(1705751697419)
	ex.Socket = &s
	return ex
}

// object returns an event as JSON has it.
func object(t *testing.T, text []byte) (o map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

// A message's event has the message, and no headers.
func TestSocketMessage(t *testing.T) {
	ex := newSocketExchange("$default", proxy.Socket{Event: proxy.SocketMessage, MessageID: "R1knPc2ntjMCFIA="})
	ex.In.Content = []byte("{\"a\":\"\u00e9\"}")
	const want = `{"requestContext":{"routeKey":"$default","messageId":"R1knPc2ntjMCFIA=","eventType":"MESSAGE","extendedRequestId":"R1knPH17NjMFftw=",` +
		`"requestTime":"15/May/2020:06:01:09 +0000","messageDirection":"IN","stage":"prod","connectedAt":1705751697419,"requestTimeEpoch":1589522469693,` +
		`"identity":{"sourceIp":"192.0.2.60","userAgent":"Browser/1.0"},"requestId":"R1knPH17NjMFftw=","domainName":"pets.localhost",` +
		`"connectionId":"R1kmxc2VNjMCFIA=","apiId":"dl7ptocha9"},"body":"{\"a\":\"é\"}","isBase64Encoded":false}`
	if got := string(AppendRequest(nil, ex)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// $connect's event has the handshake's headers and parameters, and what an authorizer
// said; a REQUEST authorizer's names the route.
func TestSocketConnect(t *testing.T) {
	ex := newSocketExchange("$connect", proxy.Socket{Event: proxy.SocketConnect})
	ex.In.RawQuery, ex.In.HasQuery = "room=a&room=b", true
	ex.Stage.Variables = map[string]string{"v": "1"}
	event := object(t, AppendAuthorization(nil, ex, nil))
	if event["type"] != "REQUEST" || event["methodArn"] != "arn:aws:execute-api:::dl7ptocha9/prod/$connect" {
		t.Errorf("%v %v", event["type"], event["methodArn"])
	}
	ex.Caller.Principal = "ann"
	ex.Caller.Context = []proxy.Param{{Name: "role", Value: "admin"}}
	event = object(t, AppendRequest(nil, ex))
	check := func(got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	check(event["queryStringParameters"], map[string]any{"room": "b"})
	check(event["multiValueQueryStringParameters"], map[string]any{"room": []any{"a", "b"}})
	check(event["stageVariables"], map[string]any{"v": "1"})
	check(event["headers"].(map[string]any)["User-Agent"], "Browser/1.0")
	context := event["requestContext"].(map[string]any)
	check(context["eventType"], "CONNECT")
	check(context["authorizer"].(map[string]any)["role"], "admin")
	if _, there := event["body"]; there {
		t.Error("$connect has a body")
	}
}

// Members are those of events that were captured on AWS, with values of the same kinds.
func TestSocketOracle(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "oracles", "lambda-events", "aws-lambda-go")
	f := func(file string, ex *proxy.Exchange) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Skip("no oracles: ", err)
		}
		got, want := kinds(object(t, AppendRequest(nil, ex))), kinds(object(t, text))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%v\nwant\n%v", file, got, want)
		}
	}
	ex := newSocketExchange("$default", proxy.Socket{Event: proxy.SocketMessage, MessageID: "x"})
	ex.In.Content = []byte("{}")
	f("apigw-websocket-request-send-message.json", ex)
	ex = newSocketExchange("$disconnect", proxy.Socket{Event: proxy.SocketDisconnect, Code: 1001})
	ex.In.Client = netip.AddrPort{}
	ex.In.ClientText = "192.0.2.60"
	f("apigw-websocket-request-disconnect.json", ex)
}

// kinds returns v with its values replaced by their kinds.
func kinds(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = kinds(v[name])
		}
		return v
	case []any:
		for i := range v {
			v[i] = kinds(v[i])
		}
		return v
	}
	return reflect.TypeOf(v)
}
