//go:build wasip1

package postern

import (
	"strconv"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Decision is what an authorizer finds.
type Decision int32

// The decisions. A Decision of zero is a failure: 500 for the client.
const (
	Allow           Decision = abi.Allow           // the request goes on
	Deny            Decision = abi.Deny            // 403
	Unauthenticated Decision = abi.Unauthenticated // 401
)

// roles is what the main package registered. A Wasm guest is entered through
// exports without arguments, so this has to be found from a package variable.
type roles struct {
	configure func(config []byte) error
	authorize func(*Request) Decision
	handle    func(Event) Answer
	request   Request
}

var registered = &roles{}

func (r *roles) setConfigure(f func([]byte) error)      { r.configure = f }
func (r *roles) setAuthorize(f func(*Request) Decision) { r.authorize = f }
func (r *roles) setHandle(f func(Event) Answer)         { r.handle = f }

// Configure has f called once per instance, before its first request, with the
// plugin's config as JSON ("{}" without one). With an error the plugin doesn't
// start.
func Configure(f func(config []byte) error) { registered.setConfigure(f) }

// Authorize makes the plugin an authorizer.
func Authorize(f func(*Request) Decision) { registered.setAuthorize(f) }

// Handle makes the plugin an integration: AWS's Lambda proxy integration.
func Handle(f func(Event) Answer) { registered.setHandle(f) }

//go:wasmexport postern_abi
func exportABI() int32 { return abi.Version }

//go:wasmexport postern_roles
func exportRoles() int32 {
	bits := int32(0)
	if registered.authorize != nil {
		bits |= abi.RoleAuthorize
	}
	if registered.handle != nil {
		bits |= abi.RoleIntegrate
	}
	return bits
}

//go:wasmexport postern_configure
func exportConfigure() int32 {
	if registered.configure == nil {
		return 0
	}
	if err := registered.configure(Config()); err != nil {
		Fail(1, err.Error())
	}
	return 0
}

//go:wasmexport postern_authorize
func exportAuthorize() int32 {
	if registered.authorize == nil {
		Fail(1, "no authorizer is registered")
		return 0
	}
	return int32(registered.authorize(&registered.request))
}

//go:wasmexport postern_integrate
func exportIntegrate() int32 {
	if registered.handle == nil {
		Fail(1, "no integration is registered")
		return 0
	}
	event := Event(read(nil, rawEventRead))
	answer := registered.handle(event).append(nil)
	at, n := bytesAt(answer)
	if code := rawResultWrite(at, n); code != abi.OK {
		Fail(1, "the answer wasn't taken: code "+strconv.Itoa(int(code)))
	}
	return 0
}

// Config returns the plugin's config as JSON.
func Config() []byte { return read(nil, rawConfigRead) }

// Fail makes the current call fail, whatever it returns: the client gets 500
// from an authorizer and 502 from an integration. code and text are for the log.
func Fail(code int, text string) {
	at, n := stringAt(text)
	rawFail(int32(code), at, n)
}
