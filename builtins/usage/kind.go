// Package usage asks for API keys, and holds callers to plans and throttles.
package usage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/usage"
)

// Options are what the kind needs that outlives a snapshot.
type Options struct {
	// Ledger is where it counts. Nil takes one of its own, which will do for a check.
	Ledger *usage.Ledger
}

// Kind returns the kind of API keys, plans and throttles.
func Kind(o Options) proxy.Kind {
	if o.Ledger == nil {
		o.Ledger = usage.New(usage.Options{})
	}
	k := &kind{o.Ledger}
	return proxy.Kind{Name: "usage", Role: proxy.AccessKind, New: k.newSteps}
}

type kind struct{ ledger *usage.Ledger }

func (k *kind) newSteps(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	api, stage := b.Route.Stage.API.Name, b.Route.Stage.Name
	settings := o.Config.API[api].Stage[stage]
	s := &step{ledger: k.ledger}
	own := settings.Throttle
	if m := settings.Settings(b.Route.Key); m.Throttle != nil {
		own = m.Throttle
	}
	if own != nil {
		s.method, s.methodRate = k.ledger.Bucket("method "+api+":"+stage+" "+b.Route.Key), rate(own)
	}
	if all := o.Config.Throttle; all != nil {
		s.gateway, s.gatewayRate = k.ledger.Bucket("gateway"), usage.NewRate(float64(all.Rate), all.Burst)
	}
	if o.Route.APIKeyRequired {
		s.declared = b.Shared(declaredKey{}, func() any { return k.declared(o.Config) }).(*usage.Index)
		s.fromAuthorizer = o.Config.API[api].APIKeySource == "authorizer"
		s.setPlans(k.plans(o.Config, api+":"+stage, b.Route.Key))
	} else if s.method == nil && s.gateway == nil {
		return proxy.Steps{}, nil
	}
	return proxy.Steps{proxy.MethodRequest: s}, nil
}

// declaredKey is under which the routes of a compilation share the index of keys.
type declaredKey struct{}

// declared returns the index of the configuration's own keys.
func (k *kind) declared(cfg *config.Config) *usage.Index {
	x := &usage.Index{}
	x.Reserve(len(cfg.Key))
	for name, key := range cfg.Key {
		if sum, ok := sumOf(&key); ok {
			k.ledger.Declare(x, name, sum, key.Enabled, key.Plans)
		}
	}
	return x
}

// sumOf returns the hash of a key; false for one that the configuration's checks have
// reported.
func sumOf(key *config.Key) (usage.Sum, bool) {
	if key.Value != "" {
		return usage.SumOf(key.Value), true
	}
	var sum usage.Sum
	raw, err := hex.DecodeString(key.SHA256)
	return sum, err == nil && copy(sum[:], raw) == sha256.Size
}

// plan is what one plan says of requests to one method.
type plan struct {
	*usage.Plan
	quota    usage.Quota
	throttle bool
	rate     usage.Rate
	// The throttle is of the method, whose number this is; and not of the key.
	ofMethod bool
	method   uint32
}

// plans returns the plans that have a stage, in the order of their numbers.
func (k *kind) plans(cfg *config.Config, stage, route string) []plan {
	var all []plan
	for name, configured := range cfg.Plan {
		if !slices.Contains(configured.Stages, stage) {
			continue
		}
		p := plan{Plan: k.ledger.Plan(name), quota: quota(configured.Quota)}
		if t, there := configured.Method[stage][route]; there {
			p.throttle, p.rate = true, rate(&t)
			p.ofMethod, p.method = true, k.ledger.Method(stage+" "+route)
		} else if configured.Throttle != nil {
			p.throttle, p.rate = true, rate(configured.Throttle)
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b plan) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// rate returns the rate of a throttle. Without a burst it is what comes in a second.
func rate(t *config.Throttle) usage.Rate {
	burst := max(int(math.Ceil(float64(t.Rate))), 1)
	if t.Burst != nil {
		burst = *t.Burst
	}
	return usage.NewRate(float64(t.Rate), burst)
}

func quota(q *config.Quota) usage.Quota {
	if q == nil {
		return usage.Quota{}
	}
	return usage.Quota{Limit: min(int64(q.Limit), math.MaxInt64/4), Period: usage.ParsePeriod(q.Period), Offset: int64(q.Offset)}
}

// Catalog returns what keys that are made by command have to fit in cfg.
func Catalog(cfg *config.Config) usage.Catalog {
	c := usage.Catalog{Plans: map[string]usage.PlanFacts{}, Declared: map[usage.Sum]string{}, Keys: map[string][]string{}}
	for name, p := range cfg.Plan {
		c.Plans[name] = usage.PlanFacts{Stages: p.Stages, Quota: quota(p.Quota)}
	}
	for name, key := range cfg.Key {
		if sum, ok := sumOf(&key); ok {
			c.Declared[sum] = name
		}
		c.Keys[name] = key.Plans
	}
	return c
}
