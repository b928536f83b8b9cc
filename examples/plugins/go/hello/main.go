//go:build wasip1

// Command hello is an integration: it greets whom the path names.
package main

import postern "github.com/postern-gateway/postern/sdk/go"

func init() { postern.Integrate(greet) }

func main() {} // the gateway calls greet; this never runs

func greet(r *postern.Request, to *postern.Response) {
	greeting := r.StageVariable("greeting")
	if greeting == "" {
		greeting = "Hello"
	}
	to.SetStatus(200)
	to.Headers().Set("content-type", "application/json")
	to.Body().WriteString(`{"message":` + postern.Quote(greeting+", "+r.PathParam("name")+"!") + `}`)
}
