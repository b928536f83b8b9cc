//go:build wasip1

// Command guard is an authorizer: it lets in who knows the token of the plugin's
// config, config = { token = "…" }.
package main

import (
	"errors"
	"strings"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	g := new(guard)
	postern.Configure(g.configure)
	postern.Authorize(g.authorize)
}

func main() {} // the gateway calls the methods; this never runs

type guard struct{ token string }

func (g *guard) configure(config []byte) error {
	document, err := postern.ParseJSON(config)
	if err != nil {
		return err
	}
	if g.token = document.Get("$.token"); g.token == "" {
		return errors.New(`config needs a token: config = { token = "…" }`)
	}
	return nil
}

func (g *guard) authorize(r *postern.Request) postern.Decision {
	given, found := strings.CutPrefix(r.Header("Authorization"), "Bearer ")
	if !found {
		return postern.Unauthenticated
	}
	if !postern.Equal(given, g.token) {
		return postern.Deny
	}
	r.SetPrincipal("bearer")
	r.SetContext("stage", r.Stage())
	return postern.Allow
}
