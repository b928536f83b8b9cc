//go:build wasip1

// Command header is the smallest useful filter, for measuring: it reads one
// header and sets one.
package main

import postern "github.com/postern-gateway/postern/sdk/go"

func init() {
	postern.FilterRequests(func(r *postern.Request, _ *postern.Response) postern.Verdict {
		r.SetHeader("x-agent", r.Header("user-agent"))
		return postern.Continue
	})
}

func main() {} // the gateway calls the filter; this never runs
