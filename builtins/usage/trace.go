package usage

import "github.com/postern-gateway/postern/proxy"

// explain tells the exchange's trace which key let it pass, and under which limits.
func (s *step) explain(ex *proxy.Exchange, t *taken) {
	note := func(name string, there bool) {
		if there {
			ex.Explain.Note(name, "passed", "")
		}
	}
	if s.declared == nil {
		ex.Explain.Note("API key", "not needed here", "")
	}
	if t.plan != nil {
		ex.Explain.Note("plan", t.plan.Name, "the one of the key's plans that has this stage")
		note("the plan's throttle", t.bucket != nil)
		note("the plan's quota", t.plan.quota.Limit > 0)
	}
	note("the method's throttle", s.method != nil)
	note("the gateway's throttle", s.gateway != nil)
}
