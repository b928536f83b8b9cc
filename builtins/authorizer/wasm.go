package authorizer

import (
	"context"

	"github.com/postern-gateway/postern/proxy"
)

// Wasm returns the kind wasm: a plugin decides, either by itself or, as a function,
// by an event.
func Wasm(o Options) proxy.Kind {
	return proxy.Kind{Name: "wasm", Role: proxy.AuthorizerKind, New: o.newWasm}
}

func (own Options) newWasm(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	name := o.Authorizer.Plugin
	var refused error
	if o.Authorizer.Event == "" {
		steps, err := b.Plugin(proxy.DeciderKind, name)
		if err == nil && steps[proxy.MethodRequest] == nil {
			return proxy.Steps{}, nil // there is a finding about the plugin
		}
		if err == nil {
			n := native{steps[proxy.MethodRequest]}
			return newStep(b, o, own.Decisions, n, n.version(), false)
		}
		refused = err
	}
	f, err := b.Function(name)
	switch {
	case err != nil && refused != nil:
		return proxy.Steps{}, refused
	case err != nil:
		return proxy.Steps{}, err
	case f == nil:
		return proxy.Steps{}, nil
	}
	return own.newFunction(b, o, f)
}

// native is a plugin that decides by itself.
type native struct{ step proxy.Step }

func (n native) decide(ctx context.Context, ex *proxy.Exchange) (size int, err error) {
	_, err = n.step.Run(ctx, ex)
	return 0, err
}

// whole reports whether the plugin sees the request's content.
func (n native) whole() bool {
	_, whole := n.step.(proxy.WholeBody)
	return whole
}

func (n native) version() string {
	if v, ok := n.step.(interface{ Version() string }); ok {
		return v.Version()
	}
	return ""
}
