package plugins

import (
	"context"
	"errors"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// function is a plugin with the role integrate that is given events which
// somebody else writes.
type function struct {
	step
	abi integrationABI
}

// Function returns the plugin called name as a function, alive as long as the
// snapshot that b is for. It is nil without an error when there is a finding about
// the plugin already.
func (g *Generation) Function(b proxy.Build, name string) (proxy.Function, error) {
	p, err := g.plugin(b, name, abi.RoleIntegrate)
	if p == nil || err != nil {
		return nil, err
	}
	return &function{step: p.newStep(b, abi.RoleIntegrate, integrateTimeout), abi: p.module.abi.(integrationABI)}, nil
}

// Version tells modules and their options apart.
func (f *function) Version() string { return f.plugin.identity }

// Invoke implements proxy.Function.
func (f *function) Invoke(ctx context.Context, ex *proxy.Exchange, event []byte) ([]byte, error) {
	in, err := f.begin(ctx, ex)
	if err != nil {
		return nil, f.noted(ex, err, "")
	}
	in.event, in.rendered = append(in.event[:0], event...), true
	if err = f.abi.integrate(in); err == nil && !in.answered {
		err = &failure{"answer", errors.New("the answer isn't JSON but header fields and content")}
	}
	answer := in.result
	_, said, _ := strings.Cut(in.failure, ": ") // behind the code
	f.plugin.give(in, err)
	if err != nil {
		return nil, f.noted(ex, err, said)
	}
	return answer, nil
}

// noted notes for the access record what err is, and returns what the guest said
// of it, if it did.
func (f *function) noted(ex *proxy.Exchange, err error, said string) error {
	// Which fault it is to be is for the caller to say: this one is looked at for
	// whether it is somebody else's.
	fault := f.fault(ex, err, proxy.PluginFailure, proxy.PluginTimeout)
	if said != "" {
		return &proxy.FunctionError{Message: said}
	}
	return fault
}
