package usage

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/usage"
)

// Why requests are refused, for the log.
var (
	errNoKey       = errors.New("no API key")
	errUnknownKey  = errors.New("an unknown API key")
	errDisabledKey = errors.New("the API key is disabled")
	errNoPlan      = errors.New("no plan of the API key has this stage")
	errOfPlan      = errors.New("the plan's throttle")
	errOfQuota     = errors.New("the plan's quota")
	errOfMethod    = errors.New("the method's throttle")
	errOfGateway   = errors.New("the gateway's throttle")
)

// step lets the requests to one method pass that have a key, and not too many of them.
type step struct {
	ledger *usage.Ledger

	declared       *usage.Index // nil: no key is needed
	fromAuthorizer bool
	plans          []plan
	numbers        []uint32 // theirs

	method, gateway         *usage.Bucket // nil: no throttle
	methodRate, gatewayRate usage.Rate
}

func (s *step) setPlans(plans []plan) {
	s.plans = plans
	for i := range plans {
		s.numbers = append(s.numbers, plans[i].Number)
	}
}

// taken is what a request has taken of its key's plan.
type taken struct {
	plan    *plan
	bucket  *usage.Bucket // nil: the plan has no throttle
	counted usage.Counted
}

// Run judges in AWS's order: the key, the throttle and then the quota of its plan, the
// method's throttle, the gateway's. Who refuses a request takes nothing, and what
// others took of it they get back. AWS: "Throttle requests to your REST APIs for better
// throughput in API Gateway".
func (s *step) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	now := ex.Now()
	at := s.ledger.Instant(now)
	var t taken
	if s.declared != nil {
		if err := s.identify(ex, now, at, &t); err != nil {
			return proxy.Continue, err
		}
	}
	if s.method != nil {
		if wait, ok := s.method.Take(s.methodRate, at); !ok {
			t.giveBack()
			return proxy.Continue, refusal(proxy.Throttled, wait, errOfMethod)
		}
	}
	if s.gateway != nil {
		if wait, ok := s.gateway.Take(s.gatewayRate, at); !ok {
			t.giveBack()
			if s.method != nil {
				s.method.Return(s.methodRate)
			}
			return proxy.Continue, refusal(proxy.Throttled, wait, errOfGateway)
		}
	}
	if t.plan != nil {
		t.plan.Passed(ex.Shard)
	}
	if ex.Explain != nil {
		s.explain(ex, &t)
	}
	return proxy.Continue, nil
}

// identify finds out whose the request is, and takes it from the plan.
func (s *step) identify(ex *proxy.Exchange, now time.Time, at usage.Instant, t *taken) error {
	value := ex.Caller.UsageKey
	if !s.fromAuthorizer {
		value = ex.In.Fields.Get("X-API-Key")
	}
	if value == "" {
		return proxy.Fault{Kind: proxy.InvalidAPIKey, Cause: errNoKey}
	}
	if len(value) < usage.MinValue || len(value) > usage.MaxValue {
		return proxy.Fault{Kind: proxy.InvalidAPIKey, Cause: errUnknownKey}
	}
	sum := usage.SumOf(value)
	key := s.declared.Find(&sum)
	if key == nil {
		key = s.ledger.Key(&sum)
	}
	switch {
	case key == nil:
		return proxy.Fault{Kind: proxy.InvalidAPIKey, Cause: errUnknownKey}
	case !key.Enabled():
		return proxy.Fault{Kind: proxy.InvalidAPIKey, Cause: errDisabledKey}
	}
	i := key.Plan(s.numbers)
	if i < 0 {
		return proxy.Fault{Kind: proxy.InvalidAPIKey, Cause: errNoPlan}
	}
	ex.Caller.Key, ex.Caller.KeyID = value, key.ID()
	return s.take(ex, key, &s.plans[i], now, at, t)
}

// take takes a request of key's from p.
func (s *step) take(ex *proxy.Exchange, key *usage.Credential, p *plan, now time.Time, at usage.Instant, t *taken) error {
	account := s.ledger.Account(key, p.Plan)
	t.plan = p
	if p.throttle {
		t.bucket = &account.Bucket
		if p.ofMethod {
			t.bucket = account.Method(p.method)
		}
		if wait, ok := t.bucket.Take(p.rate, at); !ok {
			p.Throttled(ex.Shard)
			return refusal(proxy.Throttled, wait, errOfPlan)
		}
	}
	var wait time.Duration
	var ok bool
	if t.counted, wait, ok = s.ledger.Count(account, p.quota, now); !ok {
		if t.bucket != nil {
			t.bucket.Return(p.rate)
		}
		p.Exceeded(ex.Shard)
		return refusal(proxy.QuotaExceeded, wait, errOfQuota)
	}
	return nil
}

// giveBack returns what was taken.
func (t *taken) giveBack() {
	if t.plan == nil {
		return
	}
	if t.bucket != nil {
		t.bucket.Return(t.plan.rate)
	}
	t.counted.Return()
}

// refusal is 429. It says when to come again, if that is known.
func refusal(kind proxy.FaultKind, wait time.Duration, cause error) proxy.Fault {
	f := proxy.Fault{Kind: kind, Cause: cause}
	if wait < math.MaxInt64 {
		f.RetryAfter = int((wait + time.Second - 1) / time.Second)
	}
	return f
}
