//go:build wasip1

// Command guard is a WebAssembly authorizer for the quickstart: it lets in who
// knows the token of the plugin's config. Nobody else learns how close they were.
package main

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"strings"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	g := new(guard)
	postern.Configure(g.configure)
	postern.Authorize(g.decide)
}

func main() {} // the gateway calls the guard's methods; this never runs

type guard struct{ token []byte }

// configure reads the plugin's config: { token = "…" }.
func (g *guard) configure(config []byte) error {
	var options struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(config, &options); err != nil {
		return err
	}
	if options.Token == "" {
		return errors.New(`config needs a token: config = { token = "…" }`)
	}
	g.token = []byte(options.Token)
	return nil
}

func (g *guard) decide(r *postern.Request) postern.Decision {
	token, found := strings.CutPrefix(r.Header("Authorization"), "Bearer ")
	if !found {
		return postern.Unauthenticated
	}
	if subtle.ConstantTimeCompare([]byte(token), g.token) != 1 {
		return postern.Deny
	}
	r.SetPrincipal("bearer")
	return postern.Allow
}
