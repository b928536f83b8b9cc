// Package backend is what the quickstart's gateway has behind it: a small HTTP
// server that shows what it got, streams events and echoes WebSocket messages.
package backend

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxContent is how many bytes of a request's content are shown.
const maxContent = 1 << 20

// New returns the backend's answers:
//
//	/events?count=N   N server-sent events, one each 300 ms (default 5, at most 100)
//	/ws               a WebSocket that sends every message back
//	anything else     what the backend got, as JSON
func New() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/events", events)
	mux.HandleFunc("/ws", webSocket)
	mux.HandleFunc("/", show)
	return mux
}

// received is what show answers.
type received struct {
	Method  string              `json:"method"`
	Target  string              `json:"target"`
	Host    string              `json:"host"`
	Headers map[string][]string `json:"headers"`
	Content string              `json:"content"`
}

func show(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxContent))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	// A client that left needs no answer.
	_ = encoder.Encode(received{r.Method, r.RequestURI, r.Host, r.Header, string(content)})
}

func events(w http.ResponseWriter, r *http.Request) {
	count, err := strconv.Atoi(r.URL.Query().Get("count"))
	if err != nil || count < 1 || count > 100 {
		count = 5
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for i := 1; ; i++ {
		if _, err := fmt.Fprintf(w, "id: %d\ndata: {\"tick\":%d}\n\n", i, i); err != nil || stream.Flush() != nil {
			return // the client left
		}
		if i == count {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}
