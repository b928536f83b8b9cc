// Package builtins lists the kinds that the gateway brings along.
package builtins

import (
	"github.com/postern-gateway/postern/builtins/coding"
	"github.com/postern-gateway/postern/builtins/cors"
	"github.com/postern-gateway/postern/builtins/gatewayresponse"
	"github.com/postern-gateway/postern/builtins/integration"
	"github.com/postern-gateway/postern/builtins/validation"
	"github.com/postern-gateway/postern/proxy"
)

// Kinds returns the builtin kinds. It is the whole list: what isn't here comes
// from a plugin.
func Kinds() []proxy.Kind {
	return []proxy.Kind{
		integration.HTTPProxy(),
		integration.HTTP(),
		integration.Mock(),
		integration.Custom(),
		coding.Kind(),
		cors.Kind(),
		gatewayresponse.Kind(),
		validation.Models(),
		validation.Validator(),
	}
}
