package observe

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// What happens on connections has lines and counters of its own, and stages without any
// have none.
func TestSocketExchanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: path}, Registry: registry})
	stage := ob.Stage("chat", "prod")
	ob.Stage("pets", "prod").Record(exchange())
	f := func(s proxy.Socket, key string, status int, fault *proxy.Fault) {
		ex := exchange()
		s.ConnectionID = "L0SM9cOFvHcCIhw="
		ex.Socket, ex.Route.Key, ex.Fault, ex.Reply.Status = &s, key, fault, status
		ex.Notes.BackendStatus = 0
		if fault == nil {
			ex.Notes.BackendStatus = status
		}
		stage.Record(ex)
	}
	f(proxy.Socket{Event: proxy.SocketConnect}, "$connect", 101, nil)
	f(proxy.Socket{Event: proxy.SocketMessage, MessageID: "m1"}, "join", 200, nil)
	f(proxy.Socket{Event: proxy.SocketMessage, MessageID: "m2"}, "join", 503, nil)
	f(proxy.Socket{Event: proxy.SocketMessage, MessageID: "m3"}, "join", 403, &proxy.Fault{Kind: proxy.Forbidden})
	f(proxy.Socket{Event: proxy.SocketMessage, MessageID: "m4"}, "join", 504, &proxy.Fault{Kind: proxy.IntegrationTimeout})
	f(proxy.Socket{Event: proxy.SocketDisconnect, Code: 1001, Reason: "Going\naway"}, "$disconnect", 200, nil)
	if err := ob.Close(); err != nil {
		t.Fatal(err)
	}
	got := lines(t, path)
	check := func(line int, key string, want any) {
		t.Helper()
		if got[line][key] != want {
			t.Errorf("line %d: %s = %v, want %v", line, key, got[line][key], want)
		}
	}
	check(1, "event", "CONNECT")
	check(1, "method", "GET")
	check(2, "event", "MESSAGE")
	check(2, "connection_id", "L0SM9cOFvHcCIhw=")
	check(2, "message_id", "m1")
	check(2, "route", "join")
	check(2, "method", nil)
	check(6, "close_code", 1001.0)
	check(6, "close_reason", "Going\naway")

	counts := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if name, is := strings.CutPrefix(family.GetName(), "postern_websocket_"); is {
			for _, m := range family.GetMetric() {
				counts[name] += m.GetCounter().GetValue()
			}
			if n := len(family.GetMetric()); n != 1 {
				t.Errorf("%s has %d series", name, n)
			}
		}
	}
	for name, want := range map[string]float64{"connects_total": 1, "messages_total": 4, "integration_errors_total": 1, "client_errors_total": 1, "execution_errors_total": 1} {
		if counts[name] != want {
			t.Errorf("%s is %v, want %v", name, counts[name], want)
		}
	}
}
