package plugins

import (
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// guestABI is one way of talking to modules. Each has a file of its own,
// abi_<name>.go, and one line in guestABIs; nothing else knows its name.
//
// A guestABI has no state: it is made anew wherever it is needed, and what it
// has to remember about one instance stands in a struct of its own type, which
// the instance points to by a field of that type (as instance.native does).
//
// Besides these methods it has one for each role that it can play: those of
// authorizerABI, integrationABI and so on. They run the guest with instance.run
// between instance.begin and instance.end, which are the steps' business: an
// ABI's method sees an instance that is ready for one call of a given phase,
// whose exchange is in.ex, and whose deadline runs. Whatever error it returns
// costs the instance, and is told to the client by plugin.fault.
type guestABI interface {
	// name is the word in `abi = "…"`.
	name() string

	// speaks returns nil for a module of this ABI, as its imports and exports
	// show. Else the error (of refuse) says what it lacks, for who insists by
	// `abi = "…"`. With `abi = "auto"` the first of guestABIs that returns nil
	// gets the module, so it must not claim what another one is closer to.
	speaks(m *module) error

	// provides lists what its guests may import besides what every guest may:
	// WASI and the meter's import. Several ABIs may have functions in one module
	// (such as "env"), if each name has one signature.
	provides() []hostModule

	// check refuses (with refuse) a module that speaks the ABI but can't work:
	// exports with wrong signatures, none of the roles, unknown versions.
	check(m *module) error

	// checkOptions refuses options that mean nothing to its guests. option is
	// the key to blame.
	checkOptions(o config.Plugin) (option string, err error)

	// start makes a new instance ready for its first call: _initialize, its
	// configuration, a callback that says that the machine is up. It runs in
	// phase abi.Start, under startTimeout. It also looks up the exports that are
	// called later (a look-up costs 6 µs and 12 KB) and keeps them in its struct.
	start(in *instance) error

	// greet asks the first instance of a plugin what no import or export says,
	// after start, and returns the plugin's roles: bits of abi.Role….
	greet(in *instance) (roles uint32, err error)

	// fresh reports whether an instance serves one call only.
	fresh() bool
}

// authorizerABI is a guestABI with the role authorize.
type authorizerABI interface {
	// authorize returns the guest's decision: abi.Allow, abi.Deny or
	// abi.Unauthenticated; every other number is a failure. Who calls is left in
	// in.principal and in.context (see setPrincipal and setContext), which count
	// if the decision is abi.Allow.
	authorize(in *instance) (decision int32, err error)
}

// integrationABI is a guestABI with the role integrate.
type integrationABI interface {
	// integrate leaves the guest's answer in in.result, as AWS's proxy response in
	// JSON, and sets in.answered; or it sets status, header fields and content of
	// the response side (setStatus, setField, writeContent).
	integrate(in *instance) error
}

// requestFilterABI is a guestABI with the role request.
type requestFilterABI interface {
	// request returns the guest's verdict: abi.Continue with what it has changed
	// of the request side, or abi.Answer with an answer on the response side; any
	// other number is a failure.
	request(in *instance) (verdict int32, err error)
}

// responseFilterABI is a guestABI with the role response.
type responseFilterABI interface {
	// response lets the guest change the response side, which begins as what the
	// client would get.
	response(in *instance) error
}

// requestMapperABI is a guestABI with the role map_request.
type requestMapperABI interface {
	// mapRequest lets the guest change the backend side.
	mapRequest(in *instance) error
}

// responseMapperABI is a guestABI with the role map_response.
type responseMapperABI interface {
	// mapResponse lets the guest change the response side.
	mapResponse(in *instance) error
}

// validatorABI is a guestABI with the role validate.
type validatorABI interface {
	// validate returns the guest's judgement: abi.Valid, abi.InvalidBody or
	// abi.InvalidParameters; any other number is a failure.
	validate(in *instance) (judgement int32, err error)
}

// bodyABI is a guestABI whose guests may see or change content. The others'
// never wait for it.
type bodyABI interface {
	// bodies says which content the guest wants, after start: that of requests
	// (for all roles but those about responses), that of responses.
	bodies(in *instance) (request, response bool)
}

// streamingABI is a guestABI whose integrations may have content in pieces.
type streamingABI interface {
	// streams says, after start, whether the guest reads requests' content as it comes
	// and whether it may send its answer as it makes it.
	streams(in *instance) (pulls, sends bool)
}

// bindingABI is a guestABI whose guests see a response only if they have seen its
// request, and may remember the one until the other. Its plugins have a boundPool
// if their instances are shared.
type bindingABI interface {
	// boundTo reports whether p is to see the response of ex, and if it must be one
	// certain instance that does, returns that.
	boundTo(p *plugin, ex *proxy.Exchange) (in *instance, sees bool)
}

// askingABI is a bindingABI whose guests may say about each response, when they
// see its request, that they want the content.
type askingABI interface {
	asked(p *plugin, ex *proxy.Exchange) bool
}

// grantedABI is a guestABI whose guests can use capability groups that no import
// tells of.
type grantedABI interface {
	// uses lists these groups.
	uses() []string
}

// guestABIs are all of them, in the order in which they are asked.
func guestABIs() []guestABI {
	return []guestABI{
		nativeABI{},
		proxyWasmABI{},
		httpWasmABI{},
		opaABI{},
		extismABI{},
		commandABI{},
	}
}

// abiFor finds the ABI of m. want is "auto" or a name.
func abiFor(m *module, want string) (guestABI, error) {
	var lacks []string
	for _, a := range guestABIs() {
		err := a.speaks(m)
		switch {
		case err == nil && (want == a.name() || want == "auto" || want == ""):
			return a, nil
		case want == a.name():
			return nil, err
		case err != nil:
			lacks = append(lacks, a.name()+": "+err.Error())
		}
	}
	return nil, refuse("a native plugin is built with an SDK of postern; an event plugin is a WASI command",
		"the module speaks none of the ABIs that run here (%s)", strings.Join(lacks, "; "))
}

// abilities says which roles p has.
func (p *plugin) abilities() string {
	return fmt.Sprintf("it is a plugin of the ABI %q that can %s", p.module.abi.name(), verbs(p.roles))
}

// verbs says what a plugin with roles can do.
func verbs(roles uint32) string {
	var can []string
	for _, r := range abi.Roles() {
		if roles&r.Bit != 0 {
			can = append(can, r.Verb)
		}
	}
	return strings.Join(can, ", ")
}
