package plugins

import (
	"github.com/postern-gateway/postern/proxy/config"
)

// isolation is what one call may find of an earlier one in its instance.
type isolation string

const (
	// isolationReset: nothing. After each call the instance goes back to the state
	// that it had when it was started (reset.go).
	isolationReset isolation = "reset"
	// isolationShared: everything, until the instance is worn.
	isolationShared isolation = "shared"
	// isolationFresh: nothing, because an instance serves one call.
	isolationFresh isolation = "fresh"
)

// resetMost is up to which size of a started instance's memory, in bytes, a
// reset is the default: copying back more takes longer than most calls.
const resetMost = 512 << 10

// statefulABI is a guestABI whose guests keep something between calls that
// belong together. Their instances are always shared.
type statefulABI interface {
	stateful()
}

// sharingABI is a guestABI whose guests expect to find what they have kept, but
// don't depend on it. Their instances are shared unless the configuration says
// otherwise.
type sharingABI interface {
	shares()
}

// checkIsolation refuses the option isolation where the ABI leaves no choice.
func checkIsolation(a guestABI, o config.Plugin) error {
	_, keeps := a.(statefulABI)
	want := isolation(o.Isolation)
	switch {
	case want == "":
	case a.fresh() && want != isolationFresh:
		return refuse(`leave it out, or set isolation = "fresh"`,
			"an instance of the ABI %q ends with its call, so it can't be %s", a.name(), want)
	case keeps && want != isolationShared:
		return refuse(`leave it out, or set isolation = "shared"`,
			"guests of the ABI %q keep what they know of a request from one call to the next", a.name())
	}
	return nil
}

// isolate decides how p's instances are kept apart, by what was configured and
// how its first instance, which is started, looks.
func (p *plugin) isolate(first *instance, want isolation) error {
	_, keeps := p.module.abi.(statefulABI)
	_, shares := p.module.abi.(sharingABI)
	resets := p.module.exports[exportRestore] != nil
	size := uint64(first.memory.Size())
	switch {
	case p.module.abi.fresh():
		want = isolationFresh
	case keeps, shares && want == "":
		want = isolationShared
	case want == isolationReset && !resets:
		return refuse(`set isolation = "fresh" or "shared"`,
			"instances of this module can't be reset: it changes its tables, drops segments or imports variables")
	case want == "" && resets && size <= resetMost:
		want = isolationReset
	case want == "":
		want = isolationShared
	}
	p.isolation = want
	return nil
}
