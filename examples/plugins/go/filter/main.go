//go:build wasip1

// Command filter gives every request and its answer a trace id, and hides what
// lies below /internal.
package main

import (
	"strings"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	postern.FilterRequests(request)
	postern.FilterResponses(response)
}

func main() {} // the gateway calls the functions; this never runs

func request(r *postern.Request, to *postern.Response) postern.Verdict {
	if strings.HasPrefix(r.Path(), "/internal") {
		to.SetStatus(404)
		to.Headers().Set("content-type", "application/json")
		to.Body().WriteString(`{"message":"not here"}`)
		return postern.Respond
	}
	trace, found := r.LookupHeader("x-trace")
	if !found {
		trace = r.ID()
	}
	r.SetHeader("x-trace", trace)
	r.Bag().Set("trace", trace)
	return postern.Continue
}

func response(r *postern.Request, to *postern.Response) {
	if trace, found := r.Bag().Lookup("trace"); found {
		to.Headers().Set("x-trace", trace)
	}
	to.Headers().Del("x-powered-by")
}
