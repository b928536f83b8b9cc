package authorizer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/cache"
)

// maxKept is how much memory the answers of all authorizers may take, in bytes.
const maxKept = 32 << 20

// Decisions keeps answers of authorizers. Snapshots come and go: a new one goes on
// with the answers of authorizers that are still the same. Safe for concurrent use.
type Decisions struct {
	mu      sync.Mutex // guards what follows
	store   *cache.Cache[*decision]
	flights map[string]*flight
}

// NewDecisions returns one that holds no answers, which the caller closes.
func NewDecisions() *Decisions { return &Decisions{flights: map[string]*flight{}} }

// Close forgets all answers. No snapshot may use d any more.
func (d *Decisions) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.store != nil {
		d.store.Close()
	}
}

// keeper returns what keeps answers for ttl and has requests with the same key wait
// for each other, for patience at most; nil if d is.
func (d *Decisions) keeper(ttl, patience time.Duration) *keeper {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.store == nil { // nobody who has no such authorizer pays for it
		d.store = cache.New[*decision](maxKept)
	}
	return &keeper{shared: d, store: d.store, ttl: ttl, patience: patience}
}

// keeper is Decisions for one authorizer.
type keeper struct {
	shared   *Decisions
	store    *cache.Cache[*decision]
	ttl      time.Duration
	patience time.Duration
}

// scopeOf returns what the keys of an authorizer on a route begin with: it is the
// same only for the same authorizer on the same stage, with the same configuration
// of everything that its answers may depend on.
func scopeOf(b proxy.Build, o proxy.Options, version, by, route string) (string, error) {
	stage := b.Route.Stage
	text, err := json.Marshal([]any{
		stage.API.Name, stage.API.ID, stage.API.Region, stage.API.AccountID, stage.Name, stage.Variables,
		o.Name, o.Authorizer, version, by, route, o.Config.Backend[o.Authorizer.Backend],
		o.Config.Network, // what policies know of them is compiled into answers
	})
	if err != nil {
		return "", fmt.Errorf("authorizer %q: %w", o.Name, err)
	}
	sum := sha256.Sum256(text)
	return string(sum[:]), nil
}

// decision is an answer that is kept. It never changes.
type decision struct {
	principal string
	context   []proxy.Param
	policy    proxy.Policy
	usageKey  string
	document  string
	denied    error // the Fault; nil lets the caller go on
}

// apply makes d the answer about ex.
func (d *decision) apply(ex *proxy.Exchange) error {
	if d.denied != nil {
		return d.denied
	}
	c := &ex.Caller
	c.Principal, c.Policy, c.UsageKey, c.Document = d.principal, d.policy, d.usageKey, d.document
	c.Context = append(c.Context[:0], d.context...)
	return nil
}

// taken returns the answer that ex.Caller holds, in memory of its own, and how many
// bytes that is.
func taken(ex *proxy.Exchange) (*decision, int) {
	c := &ex.Caller
	size := len(c.Principal) + len(c.UsageKey) + len(c.Document)
	for i := range c.Context {
		size += len(c.Context[i].Name) + len(c.Context[i].Value)
	}
	var text strings.Builder
	text.Grow(size)
	own := func(s string) string {
		at := text.Len()
		text.WriteString(s)
		return text.String()[at:]
	}
	d := &decision{principal: own(c.Principal), usageKey: own(c.UsageKey), document: own(c.Document), policy: c.Policy}
	if len(c.Context) > 0 {
		d.context = make([]proxy.Param, len(c.Context))
	}
	for i := range c.Context {
		d.context[i] = proxy.Param{Name: own(c.Context[i].Name), Value: own(c.Context[i].Value)}
	}
	const param, fixed = 32, 128 // bytes of a Param, and of a decision
	return d, size + param*len(d.context) + fixed
}

// flight is one question that is under way, for all requests with its key.
type flight struct {
	landed chan struct{} // closed when what follows is set
	answer *decision     // nil for none
	failed error         // why there is none; nil: each asks for itself
	again  bool          // who asked gave up: somebody else may ask for all
}

// decide answers about ex from what is kept under key, or as d decides.
func (k *keeper) decide(ctx context.Context, ex *proxy.Exchange, key string, d decider) error {
	if answer, found := k.store.Get(key, ex.Lately()); found {
		if ex.Explain != nil {
			ex.Explain.Note("the authorizer's answer", "kept from an earlier request: nobody was asked", "")
		}
		return answer.apply(ex)
	}
	var patience *time.Timer
	for {
		f, leads := k.join(key)
		if leads {
			return k.lead(ctx, ex, f, key, d)
		}
		if patience == nil {
			patience = time.NewTimer(k.patience)
			defer patience.Stop()
		}
		select {
		case <-f.landed:
		case <-ctx.Done():
			return proxy.Fault{Kind: proxy.ClientGone, Cause: context.Cause(ctx)}
		case <-patience.C:
			return proxy.Fault{Kind: proxy.AuthorizerFailure, Cause: errImpatient}
		}
		switch {
		case f.answer != nil:
			return f.answer.apply(ex)
		case f.failed != nil:
			return f.failed
		case !f.again:
			_, err := d.decide(ctx, ex)
			return err
		}
	}
}

// errImpatient is why a request failed that waited for another one's answer.
var errImpatient = errors.New("the authorizer's answer, for which another request asked, didn't come in time")

// join returns the flight for key, and whether the caller is who begins it.
func (k *keeper) join(key string) (f *flight, leads bool) {
	k.shared.mu.Lock()
	defer k.shared.mu.Unlock()
	if f = k.shared.flights[key]; f != nil {
		return f, false
	}
	f = &flight{landed: make(chan struct{}), again: true} // as it stays if d panics
	k.shared.flights[strings.Clone(key)] = f
	return f, true
}

// lead asks d for all who wait for f.
func (k *keeper) lead(ctx context.Context, ex *proxy.Exchange, f *flight, key string, d decider) error {
	defer func() {
		k.shared.mu.Lock()
		delete(k.shared.flights, key)
		k.shared.mu.Unlock()
		close(f.landed)
	}()
	// A flight may have landed after this request looked.
	if answer, found := k.store.Get(key, ex.Lately()); found {
		f.answer = answer
		return answer.apply(ex)
	}
	policySize, err := d.decide(ctx, ex)
	var fault proxy.Fault
	switch {
	case err == nil:
		answer, size := taken(ex)
		k.keep(key, answer, size+policySize, ex)
		f.answer = answer
	case errors.As(err, &fault) && fault.Kind == proxy.AccessDenied:
		answer := &decision{denied: proxy.Fault{Kind: fault.Kind, Message: strings.Clone(fault.Message), Cause: fault.Cause}}
		k.keep(key, answer, len(fault.Message), ex)
		f.answer = answer
	case fault.Kind == proxy.ClientGone, ctx.Err() != nil:
		return err
	case fault.Kind != proxy.Unauthorized:
		// Not kept, but those who waited needn't run into it one after the other.
		f.failed = err
	}
	f.again = false
	return err
}

// keep keeps answer from now on: how long it took to come doesn't count.
func (k *keeper) keep(key string, answer *decision, size int, ex *proxy.Exchange) {
	k.store.Put(strings.Clone(key), answer, size, ex.Now().Add(k.ttl))
}
