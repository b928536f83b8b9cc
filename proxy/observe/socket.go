package observe

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-gateway/postern/proxy"
)

// socketSeries are what is counted of a stage's connections besides. AWS: "Monitor
// WebSocket API execution with CloudWatch metrics".
type socketSeries struct {
	connects, messages                               atomic.Uint64
	integrationErrors, clientErrors, executionErrors atomic.Uint64
}

func (s *socketSeries) record(ex *proxy.Exchange) {
	switch ex.Socket.Event {
	case proxy.SocketConnect:
		s.connects.Add(1)
	case proxy.SocketMessage:
		s.messages.Add(1)
	}
	switch {
	case ex.Notes.BackendStatus >= 400:
		s.integrationErrors.Add(1)
	case ex.Fault == nil:
	case ex.Reply.Status < 500:
		s.clientErrors.Add(1)
	default:
		s.executionErrors.Add(1)
	}
}

// socketFamily is one of the counters.
type socketFamily struct {
	desc  *prometheus.Desc
	value func(*socketSeries) *atomic.Uint64
}

// newSocketFamilies returns AWS's set.
func newSocketFamilies() []socketFamily {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("postern_websocket_"+name, help, []string{"api", "stage"}, nil)
	}
	return []socketFamily{
		{describe("connects_total", "Upgrades that reached $connect. AWS: ConnectCount."), func(s *socketSeries) *atomic.Uint64 { return &s.connects }},
		{describe("messages_total", "Messages of clients. AWS: part of MessageCount."), func(s *socketSeries) *atomic.Uint64 { return &s.messages }},
		{describe("integration_errors_total", "Connects, messages and disconnects whose integration answered 400 to 599. AWS: IntegrationError."), func(s *socketSeries) *atomic.Uint64 { return &s.integrationErrors }},
		{describe("client_errors_total", "Those that the gateway refused. AWS: ClientError."), func(s *socketSeries) *atomic.Uint64 { return &s.clientErrors }},
		{describe("execution_errors_total", "Those whose integration failed without an answer. AWS: ExecutionError."), func(s *socketSeries) *atomic.Uint64 { return &s.executionErrors }},
	}
}

// appendSocket appends the members of an access line that only exchanges of WebSocket APIs
// have.
func appendSocket(b []byte, s *proxy.Socket) []byte {
	b = appendPlain(b, `,"event":"`, s.Event.String())
	b = appendPlain(b, `,"connection_id":"`, s.ConnectionID)
	switch s.Event {
	case proxy.SocketMessage:
		b = appendPlain(b, `,"message_id":"`, s.MessageID)
	case proxy.SocketDisconnect:
		b = appendInt(b, `,"close_code":`, int64(s.Code))
		if s.Reason != "" {
			b = appendClean(b, `,"close_reason":`, s.Reason)
		}
	}
	return b
}
