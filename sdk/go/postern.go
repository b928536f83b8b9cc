//go:build wasip1

package postern

import (
	"strconv"
	"unsafe"

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

// Verdict is what a request filter wants.
type Verdict int32

// The verdicts. A Verdict of zero is a failure: 500 for the client.
const (
	Continue Verdict = abi.Continue // the request goes on as it is now
	Respond  Verdict = abi.Answer   // the gateway answers with what is in the Response
	Refuse   Verdict = abi.Refuse   // FilterRequestContent only: 403
)

// Judgement is what a validator finds.
type Judgement int32

// The judgements. A Judgement of zero is a failure: 500 for the client.
const (
	Valid             Judgement = abi.Valid             // the request goes on
	InvalidBody       Judgement = abi.InvalidBody       // 400, BAD_REQUEST_BODY
	InvalidParameters Judgement = abi.InvalidParameters // 400, BAD_REQUEST_PARAMETERS
)

// roles is what the main package registered. A Wasm guest is entered through
// exports without arguments, so this has to be found from a package variable.
type roles struct {
	configure   func(config []byte) error
	authorize   func(*Request) Decision
	integrate   func(*Request, *Response)
	request     func(*Request, *Response) Verdict
	response    func(*Request, *Response)
	mapRequest  func(*Request, *Backend)
	mapResponse func(*Request, *Response)
	validate    func(*Request) Judgement
	dns         func(*Record) error
	certify     func(*Request) Decision

	requestBody  func(*Request, *Piece) Verdict
	responseBody func(*Request, *Response, *Piece)

	in  Request
	out Response
}

var registered = &roles{}

func (r *roles) setConfigure(f func([]byte) error)              { r.configure = f }
func (r *roles) setAuthorize(f func(*Request) Decision)         { r.authorize = f }
func (r *roles) setIntegrate(f func(*Request, *Response))       { r.integrate = f }
func (r *roles) setRequest(f func(*Request, *Response) Verdict) { r.request = f }
func (r *roles) setResponse(f func(*Request, *Response))        { r.response = f }
func (r *roles) setMapRequest(f func(*Request, *Backend))       { r.mapRequest = f }
func (r *roles) setMapResponse(f func(*Request, *Response))     { r.mapResponse = f }
func (r *roles) setValidate(f func(*Request) Judgement)         { r.validate = f }
func (r *roles) setDNS(f func(*Record) error)                   { r.dns = f }
func (r *roles) setCertify(f func(*Request) Decision)           { r.certify = f }

func (r *roles) setRequestBody(f func(*Request, *Piece) Verdict)     { r.requestBody = f }
func (r *roles) setResponseBody(f func(*Request, *Response, *Piece)) { r.responseBody = f }

// Configure has f called once per instance, before its first request, with the
// plugin's config as JSON ("{}" without one). With an error the plugin doesn't
// start.
func Configure(f func(config []byte) error) { registered.setConfigure(f) }

// Authorize makes the plugin an authorizer.
func Authorize(f func(*Request) Decision) { registered.setAuthorize(f) }

// Handle makes the plugin an integration that gets AWS's event: AWS's Lambda
// proxy integration.
func Handle(f func(Event) Answer) {
	registered.setIntegrate(func(*Request, *Response) { answerEvent(f) })
}

// Integrate makes the plugin an integration that asks for what it needs of the
// request and sets status, headers and content of the response: much faster than
// Handle, for no JSON is written or read.
func Integrate(f func(*Request, *Response)) { registered.setIntegrate(f) }

// FilterRequests has f see and change requests before anything else does.
func FilterRequests(f func(*Request, *Response) Verdict) { registered.setRequest(f) }

// FilterResponses has f see and change what clients get, the gateway's own
// answers included.
func FilterResponses(f func(*Request, *Response)) { registered.setResponse(f) }

// MapRequests has f change what goes to the backend.
func MapRequests(f func(*Request, *Backend)) { registered.setMapRequest(f) }

// MapResponses has f make the client's answer from the backend's.
func MapResponses(f func(*Request, *Response)) { registered.setMapResponse(f) }

// Validate has f judge requests.
func Validate(f func(*Request) Judgement) { registered.setValidate(f) }

// ChangeZones has f put records into DNS zones, and remove them: how names are proved
// to be the gateway's. With an error the call fails.
func ChangeZones(f func(*Record) error) { registered.setDNS(f) }

// Certify has f decide if the name r.DomainName() may have a certificate, which
// r.SourceIP() asked for. Nothing else of r is there.
func Certify(f func(r *Request) Decision) { registered.setCertify(f) }

// FilterRequestContent has f see and change requests' content piece by piece, on its
// way.
func FilterRequestContent(f func(*Request, *Piece) Verdict) { registered.setRequestBody(f) }

// FilterResponseContent has f see and change what clients get piece by piece, on its
// way.
func FilterResponseContent(f func(*Request, *Response, *Piece)) { registered.setResponseBody(f) }

//go:wasmexport postern_abi
func exportABI() int32 { return abi.Version }

//go:wasmexport postern_roles
func exportRoles() int32 {
	bits := int32(0)
	for _, r := range [...]struct {
		bit        int32
		registered bool
	}{
		{abi.RoleAuthorize, registered.authorize != nil}, {abi.RoleIntegrate, registered.integrate != nil},
		{abi.RoleRequest, registered.request != nil}, {abi.RoleResponse, registered.response != nil},
		{abi.RoleMapRequest, registered.mapRequest != nil}, {abi.RoleMapResponse, registered.mapResponse != nil},
		{abi.RoleValidate, registered.validate != nil},
		{abi.RoleDNS, registered.dns != nil}, {abi.RoleCertify, registered.certify != nil},
		{abi.RoleRequestBody, registered.requestBody != nil}, {abi.RoleResponseBody, registered.responseBody != nil},
	} {
		if r.registered {
			bits |= r.bit
		}
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
		return missing()
	}
	return int32(registered.authorize(&registered.in))
}

//go:wasmexport postern_integrate
func exportIntegrate() int32 {
	if registered.integrate == nil {
		return missing()
	}
	registered.integrate(&registered.in, &registered.out)
	return 0
}

//go:wasmexport postern_request
func exportRequest() int32 {
	if registered.request == nil {
		return missing()
	}
	return int32(registered.request(&registered.in, &registered.out))
}

//go:wasmexport postern_response
func exportResponse() int32 {
	if registered.response == nil {
		return missing()
	}
	registered.response(&registered.in, &registered.out)
	return abi.Continue
}

//go:wasmexport postern_map_request
func exportMapRequest() int32 {
	if registered.mapRequest == nil {
		return missing()
	}
	registered.mapRequest(&registered.in, &Backend{})
	return 0
}

//go:wasmexport postern_map_response
func exportMapResponse() int32 {
	if registered.mapResponse == nil {
		return missing()
	}
	registered.mapResponse(&registered.in, &registered.out)
	return 0
}

//go:wasmexport postern_validate
func exportValidate() int32 {
	if registered.validate == nil {
		return missing()
	}
	return int32(registered.validate(&registered.in))
}

//go:wasmexport postern_dns
func exportDNS() int32 {
	if registered.dns == nil {
		return missing()
	}
	if err := registered.dns(newRecord(&registered.in)); err != nil {
		Fail(1, err.Error())
	}
	return 0
}

//go:wasmexport postern_certify
func exportCertify() int32 {
	if registered.certify == nil {
		return missing()
	}
	return int32(registered.certify(&registered.in))
}

//go:wasmexport postern_request_body
func exportRequestBody() int32 {
	if registered.requestBody == nil {
		return missing()
	}
	return int32(registered.requestBody(&registered.in, &Piece{}))
}

//go:wasmexport postern_response_body
func exportResponseBody() int32 {
	if registered.responseBody == nil {
		return missing()
	}
	registered.responseBody(&registered.in, &registered.out, &Piece{})
	return abi.Continue
}

// missing fails a call of a role that postern_roles didn't name.
func missing() int32 {
	Fail(1, "the plugin hasn't registered this role")
	return 0
}

func answerEvent(f func(Event) Answer) {
	event := Event(read(nil, func(at unsafe.Pointer, size uint32) int32 { return rawEventRead(at, size) }))
	answer := f(event).append(nil)
	at, n := bytesAt(answer)
	if code := rawResultWrite(at, n); code != abi.OK {
		Fail(1, "the answer wasn't taken: code "+strconv.Itoa(int(code)))
	}
}

// Config returns the plugin's config as JSON.
func Config() []byte {
	// TinyGo takes no imported function as a value.
	return read(nil, func(at unsafe.Pointer, size uint32) int32 { return rawConfigRead(at, size) })
}

// Fail makes the current call fail, whatever it returns: the client gets 500
// from an authorizer and 502 from an integration. code and text are for the log.
func Fail(code int, text string) {
	at, n := stringAt(text)
	rawFail(int32(code), at, n)
}
