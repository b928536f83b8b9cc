// Package builtins lists the kinds that the gateway brings along.
package builtins

import (
	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/builtins/authorizer"
	"github.com/postern-gateway/postern/builtins/coding"
	"github.com/postern-gateway/postern/builtins/cors"
	"github.com/postern-gateway/postern/builtins/gatewayresponse"
	"github.com/postern-gateway/postern/builtins/guard"
	"github.com/postern-gateway/postern/builtins/integration"
	"github.com/postern-gateway/postern/builtins/responsecache"
	"github.com/postern-gateway/postern/builtins/usage"
	"github.com/postern-gateway/postern/builtins/validation"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/websocket"
)

// Options are what kinds need that outlives a snapshot. The zero value will do to
// check a configuration.
type Options struct {
	Usage       usage.Options
	Authorizers authorizer.Options
	Guards      *guard.Memory         // nil for checks alone
	Answers     *responsecache.Memory // nil for checks alone
	Sockets     *websocket.Hub        // nil for checks alone
}

// Kinds returns the builtin kinds. It is the whole list: what isn't here comes
// from a plugin. Guards and what checks access stand in the order in which they run.
func Kinds(o Options) []proxy.Kind {
	return []proxy.Kind{
		responsecache.Around(integration.HTTPProxy(), o.Answers),
		responsecache.Around(integration.HTTP(), o.Answers),
		integration.Mock(),
		integration.Custom(),
		coding.Kind(),
		cors.Kind(),
		gatewayresponse.Kind(),
		validation.Models(),
		guard.Kind(o.Guards),
		access.Guard(),
		authorizer.Wasm(o.Authorizers),
		authorizer.HTTP(o.Authorizers),
		authorizer.Lambda(o.Authorizers),
		authorizer.JWT(o.Authorizers),
		authorizer.Cognito(o.Authorizers),
		authorizer.IAM(),
		authorizer.Principals(),
		access.Access(),
		usage.Kind(o.Usage),
		validation.Validator(),
		responsecache.Kind(o.Answers),
		websocket.Kind(o.Sockets),
	}
}
