package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// HTTP APIs say little of what failed: a few statuses, with one text each.
func TestFailInHTTPAPI(t *testing.T) {
	texts := map[int]string{
		400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Request Entity Too Large",
		429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable",
		// Of what the server refuses before it knows of any API.
		408: "Request Timeout", 414: "URI Too Long", 415: "Unsupported Media Type", 421: "Misdirected Request",
		431: "Request Header Fields Too Large", 501: "Transfer coding not supported", 505: "HTTP version not supported",
	}
	for kind := NoFault + 1; kind < FaultKinds; kind++ {
		if kind == ClientGone {
			continue // nobody reads it
		}
		var ex Exchange
		ex.Begin(time.Now(), nil)
		ex.HTTP, ex.ID = true, "id"
		ex.Refuse(Fault{Kind: kind, Message: "what the client isn't told", Detail: "nor this"})
		text, known := texts[ex.Reply.Status]
		if want := fmt.Sprintf(`{"message":%q}`, text); !known || string(ex.Reply.Content) != want || ex.Fault.Text() != text {
			t.Errorf("%v: status %d, %s, %q; want %s", kind, ex.Reply.Status, ex.Reply.Content, ex.Fault.Text(), want)
		}
		if ex.Fault.Kind != kind {
			t.Errorf("%v became %v", kind, ex.Fault.Kind)
		}
		for _, f := range ex.Reply.Fields {
			if strings.HasPrefix(strings.ToLower(f.Name), "x-") {
				t.Errorf("%v: the field %s: %s", kind, f.Name, f.Value)
			}
		}
		if got := ex.Reply.Fields.Get("Apigw-Requestid"); got != "id" {
			t.Errorf("%v: request id %q", kind, got)
		}
	}
}

func BenchmarkFinishHTTP(b *testing.B) {
	var ex Exchange
	ex.Begin(time.Now(), nil)
	ex.HTTP, ex.ID = true, "3b241101-e2bb-4255-8caf-4136c566a962"
	ex.Reply.Status = 200
	ex.Reply.Fields.Add("Content-Type", "text/plain")
	b.ReportAllocs()
	for b.Loop() {
		ex.Reply.Fields = ex.Reply.Fields[:1]
		ex.finish()
	}
}
