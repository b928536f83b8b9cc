package plugins

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/plugins/outbound"
	"github.com/postern-gateway/postern/sdk/abi"
)

// account is what the calls of one plugin for one API have cost. Calls of other
// APIs have their own, so that they seldom write to the same line of the cache.
type account struct {
	calls     atomic.Int64
	failures  atomic.Int64
	processor atomic.Int64 // nanoseconds
	waiting   atomic.Int64 // nanoseconds, for answers to the guest's requests
	hostCalls atomic.Int64
	requests  atomic.Int64
	rejected  atomic.Int64 // requests that got no whole answer in time
	sent      atomic.Int64 // bytes of content
	received  atomic.Int64 // bytes of content
}

// accountKey is who an account is for.
type accountKey struct{ plugin, api string }

// account returns the account of a plugin for an API.
func (h *Host) account(plugin, api string) *account {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := accountKey{plugin, api}
	a := h.accounts[key]
	if a == nil {
		a = &account{}
		h.accounts[key] = a
	}
	return a
}

// Cost is what the calls of one plugin for one API have cost so far.
type Cost struct {
	API       string
	Calls     int64
	Failures  int64         // calls that failed, in whatever way
	Processor time.Duration // in calls, but for Waiting
	Waiting   time.Duration // in calls, for answers to the plugin's requests
	HostCalls int64         // of host functions
	Requests  int64         // to other servers
	Rejected  int64         // of these, those that got no whole answer in time
	Sent      int64         // bytes of their content
	Received  int64         // bytes of the answers' content
}

// costs returns those of one plugin, by API. h.mu is held.
func (h *Host) costs(plugin string) []Cost {
	var all []Cost
	for key, a := range h.accounts {
		if key.plugin == plugin {
			all = append(all, Cost{
				API: key.api, Calls: a.calls.Load(), Failures: a.failures.Load(),
				Processor: time.Duration(a.processor.Load()), Waiting: time.Duration(a.waiting.Load()),
				HostCalls: a.hostCalls.Load(), Requests: a.requests.Load(), Rejected: a.rejected.Load(),
				Sent: a.sent.Load(), Received: a.received.Load(),
			})
		}
	}
	slices.SortFunc(all, func(a, b Cost) int { return cmp.Compare(a.API, b.API) })
	return all
}

// settle books the call that ends, with err or without, and returns the host's
// time.
func (in *instance) settle(err error) (now int64) {
	var f outbound.Figures
	if in.requests != nil {
		f = in.endRequests()
	}
	now = in.plugin.host.now()
	a := in.account
	if a == nil {
		return now
	}
	took := now - in.began - in.waited
	a.calls.Add(1)
	a.processor.Add(took)
	a.hostCalls.Add(in.hostCalls)
	if err != nil {
		a.failures.Add(1)
	}
	if in.waited > 0 {
		a.waiting.Add(in.waited)
	}
	if f.Requests > 0 {
		a.requests.Add(f.Requests)
		a.rejected.Add(f.Failures)
		a.sent.Add(f.Sent)
		a.received.Add(f.Received)
	}
	if p := in.piece; p != nil {
		p.count(time.Duration(took), time.Duration(in.waited), f.Requests)
	} else if ex := in.ex; ex != nil && !(in.late && in.phase == abi.Request) { // which is another goroutine's
		ex.Notes.PluginTime += time.Duration(took)
		ex.Notes.PluginWaiting += time.Duration(in.waited)
		ex.Notes.PluginRequests += int(f.Requests)
	}
	return now
}
