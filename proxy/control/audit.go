package control

import (
	"encoding/json"
	"net/http"
	"time"
)

// Change is a change of what the gateway does, for the audit log.
type Change struct {
	Time    time.Time `json:"time"`
	By      string    `json:"by"`               // who asked for it; "reload" for a changed file
	What    string    `json:"what"`             // "stage", "canary", "canary share", or the request: "POST /keys"
	Object  string    `json:"object,omitempty"` // what was changed
	Number  int       `json:"number,omitempty"` // of the deployment
	Before  string    `json:"before,omitempty"` // digest of what was deployed
	After   string    `json:"after,omitempty"`  // digest of what is
	Status  int       `json:"status,omitempty"` // of the answer to a request
	Failure string    `json:"failure,omitempty"`
}

// audited tells of each request that it answers with answer.
func (s *Server) audited(answer http.HandlerFunc) http.HandlerFunc {
	if s.options.Audit == nil {
		return answer
	}
	return func(w http.ResponseWriter, r *http.Request) {
		heard := &listener{ResponseWriter: w, status: http.StatusOK}
		answer(heard, r)
		c := Change{Time: time.Now(), By: peer(r), What: r.Method + " " + r.URL.Path, Status: heard.status}
		if heard.status >= 300 {
			var said struct{ Message string }
			if json.Unmarshal(heard.said, &said) == nil { // else the status says it
				c.Failure = said.Message
			}
		}
		s.options.Audit(c)
	}
}

// listener is a writer that remembers what it was used for.
type listener struct {
	http.ResponseWriter
	status int
	said   []byte // of a refusal
}

// WriteHeader implements http.ResponseWriter.
func (l *listener) WriteHeader(status int) {
	l.status = status
	l.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (l *listener) Write(b []byte) (int, error) {
	if l.status >= 300 {
		l.said = append(l.said, b...)
	}
	return l.ResponseWriter.Write(b)
}
