package authorizer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/event"
)

// function is a decider that is what AWS calls a Lambda function: it gets an event
// and answers with a policy, or simply.
type function struct {
	proxy.Function
	events   events
	sources  []source
	policies access.Options
	buffers  *sync.Pool // of *[]byte, for events
}

// events says which events a function gets.
type events uint8

const (
	tokenEvent events = iota
	requestEvent
	requestEvent2
)

// networksOf is the key of the networks that policies may name.
type networksOf struct{}

// newFunction builds the step for an authorizer that f decides for.
func (own Options) newFunction(b proxy.Build, o proxy.Options, f proxy.Function) (proxy.Steps, error) {
	d := &function{
		Function: f, events: requestEvent, buffers: &sync.Pool{New: func() any { return new([]byte) }},
		policies: access.Options{MaxSize: maxAnswer, MaxResource: access.MaxResource},
	}
	d.policies.Networks = b.Shared(networksOf{}, func() any { return access.NewNetworks(o.Config) }).(*access.Networks)
	switch {
	case o.Authorizer.Event == "token":
		d.events = tokenEvent
	case o.Authorizer.PayloadFormat == "2.0":
		d.events = requestEvent2
	}
	var err error
	if d.sources, err = parseSources(sourcesOf(o.Authorizer), b.Route); err != nil {
		return proxy.Steps{}, err
	}
	return newStep(b, o, own.Decisions, d, f.Version(), true)
}

// decide invokes the function. Only an answer that is understood whole lets a
// caller go on.
func (f *function) decide(ctx context.Context, ex *proxy.Exchange) (size int, err error) {
	buffer := f.buffers.Get().(*[]byte)
	*buffer = f.appendEvent((*buffer)[:0], ex)
	answer, err := f.Invoke(ctx, ex, *buffer)
	f.buffers.Put(buffer)
	if err != nil {
		return 0, failure(err)
	}
	given, err := readAnswer(answer, f.events == requestEvent2, f.policies)
	var said *proxy.FunctionError
	switch {
	case errors.As(err, &said):
		return 0, failure(err)
	case err != nil:
		return 0, proxy.Fault{Kind: proxy.AuthorizerConfigurationError, Cause: fmt.Errorf("the authorizer's answer: %w", err)}
	case given.refused:
		return 0, proxy.Fault{Kind: proxy.AccessDenied}
	}
	c := &ex.Caller
	c.Principal, c.Policy, c.UsageKey, c.Document = given.principal, given.policy, given.usageKey, given.document
	c.Context = append(c.Context[:0], given.context...)
	return given.policySize, nil
}

// unauthorized is what a function says of a caller it doesn't know. AWS: "Output
// from an API Gateway Lambda authorizer".
const unauthorized = "Unauthorized"

// failure is the fault for a call without an answer.
func failure(err error) error {
	var said *proxy.FunctionError
	if errors.As(err, &said) && said.Message == unauthorized {
		return proxy.Fault{Kind: proxy.Unauthorized}
	}
	var fault proxy.Fault
	if errors.As(err, &fault) {
		switch fault.Kind {
		case proxy.Overloaded, proxy.ClientGone:
			return fault
		}
	}
	return proxy.Fault{Kind: proxy.AuthorizerFailure, Cause: err}
}

func (f *function) appendEvent(dst []byte, ex *proxy.Exchange) []byte {
	var few [maxSources]string
	switch f.events {
	case requestEvent:
		if !ex.HTTP { // where the event doesn't have them
			return event.AppendAuthorization(dst, ex, nil)
		}
		return event.AppendAuthorization(dst, ex, f.values(few[:0], ex))
	case requestEvent2:
		return event.AppendAuthorization2(dst, ex, f.values(few[:0], ex))
	}
	return event.AppendToken(dst, ex, f.values(nil, ex)[0])
}

// values appends the values of the identity sources.
func (f *function) values(to []string, ex *proxy.Exchange) []string {
	passing := proxy.PassingOf(ex.In.Fields)
	for i := range f.sources {
		value, _ := f.sources[i].last(&passing, ex)
		to = append(to, value)
	}
	return to
}
