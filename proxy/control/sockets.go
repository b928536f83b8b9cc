package control

import (
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-gateway/postern/proxy/websocket"
)

// Paths of the connections of WebSocket APIs.
//
//	GET    /connections                    {"connections": […]}, how many each stage has
//	GET    /connections/{api}/{stage}/{id} a connection, as AWS describes it
//	POST   /connections/{api}/{stage}/{id} sends the client what is posted, as a text
//	DELETE /connections/{api}/{stage}/{id} ends the connection
const (
	connectionsPath = "/connections"
	connectionPath  = "/connections/{api}/{stage}/{id}"
)

// maxPosted is how much may be posted to a connection, in bytes, whatever its API allows.
const maxPosted = 16 << 20

// socketList is an answer.
type socketList struct {
	Connections []websocket.Count `json:"connections"`
}

// offerSockets adds the paths of connections.
func (s *Server) offerSockets() {
	hub := s.options.Sockets
	s.offer(connectionsPath, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, socketList{hub.Counts()})
	})
	answer := func(w http.ResponseWriter, r *http.Request) {
		// A page of a browser can't ask for it. It isn't for the audit log: it is what the
		// application says to its clients, and no change of the gateway.
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			writeJSON(w, http.StatusForbidden, map[string]any{"message": "not for pages of a browser"})
			return
		}
		content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPosted))
		if err != nil {
			writeJSON(w, http.StatusRequestEntityTooLarge, map[string]any{"message": err.Error()})
			return
		}
		o := hub.Manage(r.PathValue("api"), r.PathValue("stage"), r.PathValue("id"), r.Method, content)
		if o.Problem != "" {
			w.Header().Set("x-amzn-ErrorType", o.Problem)
			writeJSON(w, o.Status, map[string]any{"message": o.Message})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(o.Status)
		_, _ = w.Write(o.Content) // a caller that left needs no answer
	}
	s.offer(connectionPath, answer)
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		s.methods[connectionPath] = append(s.methods[connectionPath], method)
		s.mux.HandleFunc(method+" "+connectionPath, answer)
	}
}

// socketCollector has how many connections are open, whenever somebody asks.
type socketCollector struct {
	hub  *websocket.Hub
	desc *prometheus.Desc
}

func newSocketCollector(hub *websocket.Hub) *socketCollector {
	return &socketCollector{hub, prometheus.NewDesc("postern_websocket_connections",
		"Open connections of WebSocket APIs.", []string{"api", "stage"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *socketCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements prometheus.Collector.
func (c *socketCollector) Collect(to chan<- prometheus.Metric) {
	for _, one := range c.hub.Counts() {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(one.Open), one.API, one.Stage)
	}
}
