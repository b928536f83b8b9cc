package access

import (
	"github.com/postern-gateway/postern/builtins/internal/iam"
	"github.com/postern-gateway/postern/proxy"
)

// explainPolicy tells the exchange's trace what each statement of a policy has to do
// with the call, and what comes of it.
func explainPolicy(ex *proxy.Exchange, name string, p *iam.Policy) {
	r := request(ex, proxy.Invoke)
	for _, reason := range p.Explain(&r) {
		outcome := "fits"
		if !reason.Fits {
			outcome = "doesn't fit"
		}
		ex.Explain.Note(name+", "+reason.Statement+" ("+reason.Effect.String()+")", outcome, reason.Why)
	}
	effect, _ := p.Decide(&r)
	ex.Explain.Note(name, effect.String(), "")
}

// explainCaller tells what the caller's own policies say.
func explainCaller(ex *proxy.Exchange, p proxy.Policy) {
	switch p := p.(type) {
	case nil:
		ex.Explain.Note("the caller's policies", "there are none", "")
	case *Policy:
		explainPolicy(ex, "the caller's policy", p.compiled)
	case Policies:
		for _, one := range p {
			explainCaller(ex, one)
		}
	}
}
