//go:build wasip1

// Command gate is an authorizer that does what the header X-Gate says.
package main

import postern "github.com/postern-gateway/postern/sdk/go"

func init() { postern.Authorize(decide) }

func decide(r *postern.Request) postern.Decision {
	switch gate := r.Header("X-Gate"); gate {
	case "open":
		r.SetPrincipal("anna")
		r.SetContext("tier", "gold")
		return postern.Allow
	case "shut":
		return postern.Deny
	case "who":
		return postern.Unauthenticated
	case "trap":
		panic("as told")
	case "loop":
		for {
		}
	case "fail":
		postern.Fail(7, "as told")
	}
	return 0
}

func main() {}
