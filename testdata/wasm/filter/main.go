//go:build wasip1

// Command filter has all the roles about messages, and does what the header X-Do
// or its config says.
package main

import (
	"encoding/json"
	"fmt"
	"strings"

	postern "github.com/postern-gateway/postern/sdk/go"
)

var config struct {
	Name string
}

func init() {
	postern.Configure(func(text []byte) error { return json.Unmarshal(text, &config) })
	postern.FilterRequests(request)
	postern.FilterResponses(response)
	postern.MapRequests(mapRequest)
	postern.MapResponses(mapResponse)
	postern.Validate(validate)
	postern.Integrate(integrate)
}

func request(r *postern.Request, out *postern.Response) postern.Verdict {
	r.Bag().Set("seen", config.Name+" saw "+r.Method())
	switch r.Header("X-Do") {
	case "answer":
		out.SetStatus(418)
		out.Headers().Set("Content-Type", "text/plain")
		out.Headers().Add("X-Cup", "one")
		out.Headers().Add("X-Cup", "two")
		return postern.Respond
	case "trap":
		r.SetHeader("X-Half", "done")
		panic("as told")
	case "loop":
		for {
		}
	case "fail":
		postern.Fail(7, "as told")
	case "nothing":
		return 0
	case "rewrite":
		r.SetHeader("X-One", "1")
		r.AddHeader("X-Two", "a")
		r.AddHeader("X-Two", "b")
		r.SetHeader("x-old", "new")
		r.DelHeader("X-Gone")
		r.SetRawQuery("q=changed")
	case "bad":
		var took []string
		for _, h := range [][2]string{
			{"X-Split", "a\r\nX-Evil: 1"}, {"X Y", "1"}, {"", "1"}, {"X-Nul", "\x00"}, {"Connection", "close"}, {"Transfer-Encoding", "chunked"},
			{"Content-Length", "5"}, {"Host", "evil"}, {"X-Forwarded-For", "1.2.3.4"}, {"X_Forwarded_For", "1.2.3.4"}, {"x-amzn-requestid", "1"},
			{"X-Long", strings.Repeat("x", 70<<10)},
		} {
			if r.SetHeader(h[0], h[1]) {
				took = append(took, h[0])
			}
		}
		many := 0
		for i := range 1000 {
			if !r.AddHeader(fmt.Sprintf("X-Many-%d", i), "1") {
				break
			}
			many++
		}
		for i := range many {
			r.DelHeader(fmt.Sprintf("X-Many-%d", i))
		}
		if r.SetRawQuery("a b") || r.SetRawQuery("a#b") || r.SetRawQuery("a\r\nb") {
			took = append(took, "query")
		}
		r.SetHeader("X-Took", fmt.Sprint(took, many > 100))
	case "flood":
		for range 2000 {
			r.SetHeader("X-Flood", strings.Repeat("x", 8<<10))
		}
		r.SetHeader("X-Flooded", "1")
	}
	return postern.Continue
}

func response(r *postern.Request, out *postern.Response) {
	out.Headers().Add("X-Order", config.Name)
	out.Headers().Set("X-Bag", r.Bag().Get("seen"))
	if fault := out.Fault(); fault != "" {
		out.Headers().Set("X-Fault", fault)
	}
	switch r.Header("X-Do") {
	case "teapot":
		out.SetStatus(418)
	case "trap response":
		out.Headers().Set("X-Half", "done")
		panic("as told")
	case "bad response":
		var took []string
		for _, name := range []string{"Connection", "Content-Length", "Date", "x-amzn-RequestId", "Upgrade"} {
			if out.Headers().Set(name, "1") {
				took = append(took, name)
			}
		}
		out.Headers().Set("X-Took", fmt.Sprint(took, out.SetStatus(101), out.SetStatus(99), out.SetStatus(600)))
	}
}

func mapRequest(r *postern.Request, b *postern.Backend) {
	b.Headers().Set("X-Mapped", b.Method()+" "+b.Target())
	if to := r.Header("X-Target"); to != "" {
		b.Headers().Set("X-Took", fmt.Sprint(b.SetTarget(to)))
	}
	if r.Header("X-Do") == "method" {
		b.SetMethod("PUT")
		b.SetHost("other.example:81")
	}
}

func mapResponse(r *postern.Request, out *postern.Response) {
	out.Headers().Set("X-Backend", fmt.Sprint(out.BackendStatus(), " ", out.BackendHeaders().Get("X-From")))
	if out.Status() == 404 {
		out.SetStatus(410)
	}
}

func validate(r *postern.Request) postern.Judgement {
	switch r.Query("valid") {
	case "no":
		return postern.InvalidParameters
	case "body":
		r.SetMessage(`it's "bad"`)
		return postern.InvalidBody
	case "trap":
		panic("as told")
	case "nothing":
		return 0
	}
	return postern.Valid
}

func integrate(r *postern.Request, out *postern.Response) {
	out.SetStatus(201)
	out.Headers().Set("X-Id", r.PathParam("id"))
}

func main() {}
