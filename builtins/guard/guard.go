// Package guard holds the kind of [guard.x]: bounds and lists that requests meet
// before any authorizer is asked.
package guard

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/postern-gateway/postern/builtins/internal/origin"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/clients"
	"github.com/postern-gateway/postern/proxy/config"
)

// Kind returns the kind that runs the guards of an API and of a route, in the order
// in which they are listed. What they count is in memory, which outlives snapshots;
// nil counts anew.
func Kind(memory *Memory) proxy.Kind {
	if memory == nil {
		memory = NewMemory()
	}
	return proxy.Kind{Name: "guard", Role: proxy.GuardKind, New: memory.steps}
}

// steps builds the guards of one route.
func (m *Memory) steps(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	stage := b.Route.Stage
	all := guards{}
	var wrong []error
	for i, name := range o.Config.API[stage.API.Name].Guards {
		// Its routes count together.
		if err := all.add(m, b.Route, o, name, scope{name, stage.API.Name, stage.Name, ""}); err != nil && !errors.Is(err, errNoUpgrade) {
			wrong = append(wrong, at(err, "guards", strconv.Itoa(i)))
		}
	}
	for i, name := range o.Route.Guards {
		if err := all.add(m, b.Route, o, name, scope{name, stage.API.Name, stage.Name, b.Route.Key}); err != nil {
			wrong = append(wrong, at(err, "route", b.Route.Key, "guards", strconv.Itoa(i)))
		}
	}
	if len(all) == 0 || len(wrong) > 0 {
		return proxy.Steps{}, errors.Join(wrong...)
	}
	return proxy.Steps{proxy.MethodRequest: all}, nil
}

// errNoUpgrade is a guard of upgrades where none passes.
var errNoUpgrade = &config.KeyError{Text: "no upgrade passes here that it could guard", Hint: `a route with an integration of type "http_proxy" and upgrade = true has upgrades, and the $connect of a WebSocket API`}

// at gives err its place.
func at(err error, path ...string) error {
	var key *config.KeyError
	if errors.As(err, &key) {
		return &config.KeyError{Path: path, Text: key.Text, Hint: key.Hint}
	}
	return &config.KeyError{Path: path, Text: err.Error()}
}

// guards are the guards of a route, in order.
type guards []proxy.Step

// Run runs one after the other.
func (all guards) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	for _, g := range all {
		if _, err := g.Run(ctx, ex); err != nil {
			return proxy.Continue, err
		}
	}
	return proxy.Continue, nil
}

// add adds the guard called name, which counts in s.
func (all *guards) add(m *Memory, r *proxy.Route, o proxy.Options, name string, s scope) error {
	configured, found := o.Config.Guard[name]
	if !found {
		return fmt.Errorf("no guard %q", name)
	}
	var step proxy.Step
	var err error
	switch configured.Type {
	case "client_rate":
		step = &clientRate{memory: m, scope: m.scope(s), rate: clients.NewRate(float64(configured.Rate), configured.Burst)}
	case "client_concurrency":
		step = &clientConcurrency{memory: m, scope: m.scope(s), most: configured.Requests}
	case "body_size":
		// The server heeds it, before content is read. 0 would be no bound of the route's.
		if limit := max(1, int64(configured.Size)); r.BodyLimit == 0 || limit < r.BodyLimit {
			r.BodyLimit = limit
		}
		return nil
	case "origin":
		in := &o.Route.Integration
		if (in.Type != "http_proxy" || !in.Upgrade) && r.Key != config.ConnectRoute {
			return errNoUpgrade
		}
		for _, pattern := range configured.Origins {
			if text, hint := origin.Check(pattern); text != "" {
				return &config.KeyError{Text: fmt.Sprintf("guard %q: %s", name, text), Hint: hint}
			}
		}
		step = &webSocketOrigin{origins: origin.New(configured.Origins), missing: configured.Missing != "refuse"}
	case "ip":
		step, err = newAddresses(&configured)
	default:
		err = fmt.Errorf("no type %q of guards", configured.Type)
	}
	if err == nil {
		*all = append(*all, step)
	}
	return err
}

// refuse is what a guard answers who isn't let in, like AWS's firewall.
func refuse(cause error) error { return proxy.Fault{Kind: proxy.WAFFiltered, Cause: cause} }

// Why a guard refuses; for logs.
var (
	ErrRate        = errors.New("the client comes more often than a guard allows")
	ErrConcurrency = errors.New("the client has more requests under way than a guard allows")
	ErrOrigin      = errors.New("a page of this origin may not ask for an upgrade")
	ErrAddress     = errors.New("a guard doesn't let this address in")
)

// clientRate is the guard of type client_rate.
type clientRate struct {
	memory *Memory
	scope  uint64
	rate   clients.Rate
}

// Run counts the request.
func (g *clientRate) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	key, known := g.memory.key(g.scope, ex)
	if !known {
		return proxy.Continue, nil
	}
	if wait := g.memory.rates.Take(key, g.rate, ex.Lately()); wait > 0 {
		return proxy.Continue, proxy.Fault{Kind: proxy.Throttled, RetryAfter: int((wait + time.Second - 1) / time.Second), Cause: ErrRate}
	}
	return proxy.Continue, nil
}

// clientConcurrency is the guard of type client_concurrency.
type clientConcurrency struct {
	memory *Memory
	scope  uint64
	most   int
}

// Run counts the request until its reply is sent.
func (g *clientConcurrency) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	key, known := g.memory.key(g.scope, ex)
	if !known {
		return proxy.Continue, nil
	}
	if !g.memory.enter(key, g.most, ex) {
		return proxy.Continue, proxy.Fault{Kind: proxy.Throttled, RetryAfter: 1, Cause: ErrConcurrency}
	}
	return proxy.Continue, nil
}
