package proxy

import (
	"context"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
)

// Phase is one of the stations of an exchange. The four phases of the AWS model
// surround the integration itself.
type Phase uint8

// The phases in the order in which they run. MethodResponse always runs.
const (
	MethodRequest Phase = iota
	IntegrationRequest
	Integration
	IntegrationResponse
	MethodResponse

	phaseCount
)

// Verdict is what a step decided.
type Verdict uint8

const (
	// Continue goes on with the next step.
	Continue Verdict = iota
	// Answered means that the step filled Reply: go to method response.
	Answered
)

// Step is one action in one phase. A step is built once per snapshot and used
// by many goroutines at the same time.
type Step interface {
	// Run does the step's part for ex. The error is a Fault; any other error
	// counts as Fault{Kind: Internal}.
	Run(ctx context.Context, ex *Exchange) (Verdict, error)
}

// WholeBody is implemented by a step that needs the request's whole content in
// In.Content; without such a step the body streams.
type WholeBody interface {
	NeedsWholeBody()
}

// DecodedBody is implemented by a step that reads the request's content and
// knows nothing of codings: a Content-Encoding is taken off before.
type DecodedBody interface {
	NeedsDecodedBody()
}

// CodedBody is implemented by a step that needs the request's content as it was
// sent: a Content-Encoding is taken off after it.
type CodedBody interface {
	NeedsCodedBody()
}

// Steps are what a kind contributes to one route: at most one step per phase.
type Steps [phaseCount]Step

// Kind makes steps from configuration.
type Kind struct {
	Name string // the word in `type = "…"`
	Role Role
	New  func(b Build, o Options) (Steps, error)
}

// Role says in which table of the configuration a kind's name stands.
type Role uint8

// The roles.
const (
	IntegrationKind     Role = iota // [api.x.route."…"] integration = { type = "…" }
	AuthorizerKind                  // [authorizer.x] type = "…"
	FilterKind                      // filters of an API or a route
	ValidatorKind                   // a route's validator
	RequestMapperKind               // map_request of an integration
	ResponseMapperKind              // map_response of an integration
	CodingKind                      // nowhere: codes the content of every route
	ModelKind                       // [api.x.model.y]: all of an API's; it has no steps
	GatewayResponseKind             // [api.x.gateway_response.y]: all of an API's; it sets Stage.Refusal
	CORSKind                        // [api.x.cors], or a route's: answers preflights, and is a reply's Last
	GuardKind                       // nowhere: before the authorizer of every route for which it has steps
	AccessKind                      // nowhere: after the authorizer of every route for which it has steps
	PrincipalKind                   // [principal.x]: all of them; it has no steps, and its Build no Route
	CacheKind                       // nowhere: after the validator of every route for which it has steps
	SocketKind                      // nowhere: what connections of WebSocket APIs do at $connect, and how they are managed
	DeciderKind                     // plugin of an [authorizer.x]: one that decides by itself, without an event
)

// Build is what the compiler lends to a kind while one route is built.
type Build struct {
	Logger *zap.Logger
	Route  *Route // identity of the route; its pipeline isn't there yet
	// Backend returns the backend that url (scheme://host[:port]) and options
	// name; options is nil for defaults. Equal arguments give the same backend.
	Backend func(url string, options *config.Backend) (Backend, error)
	// Plugin returns the steps of the plugin called name in a role, so that it can
	// stand in for a part of the kind. The error is a *config.KeyError.
	Plugin func(role Role, name string) (Steps, error)
	// Function returns the plugin called name as a function; nil without an error when
	// there is a finding about the plugin already. The error is a *config.KeyError.
	Function func(name string) (Function, error)
	// Pinned are the plugins that stand for others in what is built, by the names of
	// those: the versions that a deployment was made with.
	Pinned map[string]string
	// OnClose has f run when the snapshot is given up and its last exchange ended.
	OnClose func(f func())
	// Shared returns what build returned when it was first called with key in this
	// compilation, so that routes can share what is the same for all of them.
	Shared func(key any, build func() any) any
}

// Options are a kind's part of the configuration. A kind reports a wrong value
// as a *config.KeyError, so that the finding points to its place.
type Options struct {
	Config      *config.Config      // the whole, for references to other tables
	Integration *config.Integration // for IntegrationKind
	Responses   map[string]config.Response
	Authorizer  *config.Authorizer // for AuthorizerKind
	Name        string             // the authorizer's name
	Plugin      string             // for the kinds that are one plugin
	Route       *config.Route      // for ValidatorKind, GuardKind and AccessKind
	CORS        *config.CORS       // for CORSKind
}

// API identifies an API.
type API struct {
	Name string
	ID   string // $context.apiId; the name unless configured
	Type string // config.RESTType, config.HTTPType

	Region    string // for events and ARNs
	AccountID string // for events and ARNs

	// Binary are the media types whose content is bytes, not text. Empty: nobody
	// asked for AWS's conversions, and content passes as it is.
	Binary MediaTypes
}

// Stage is one stage of an API.
type Stage struct {
	API        *API
	Name       string
	Variables  map[string]string // read-only
	Deployment string            // $context.deploymentId: its number; "" where nobody counts
	Canaried   bool              // it has a canary: $context.isCanaryRequest
	Canary     bool              // it is the canary
	Recorder   Recorder          // metrics and access log; never nil in a snapshot
	// ClientCertificate is what integrations show to backends; nil for nothing.
	ClientCertificate *config.ClientCertificate
	Sampling          *Sampling // which exchanges are traced; nil for none
	Refusal           Refusal   // makes gateway responses; nil leaves them as AWS has them
	Last              Step      // Route.Last for exchanges without a route; nil for none
	Messages          *Messages // of a WebSocket API; nil for others
}

// Refusal makes the gateway responses of an API.
type Refusal interface {
	// Refuse changes ex.Reply, which is f's default answer, into the one that is
	// configured. ex.Stage is set, ex.Route may be nil.
	Refuse(ex *Exchange, f Fault)
}

// Route is one method of one resource in one stage.
type Route struct {
	Stage      *Stage
	Key        string // "GET /pets/{id}", as configured
	Verb       string // "GET" … or "ANY"
	Resource   string // "/pets/{id}": $context.resourcePath
	ResourceID string
	Kind       string // the integration's type, for logs and header tables
	BodyLimit  int64  // bytes of request content, at most the listener's limit; 0 takes that
	Action     Action // what policies have to allow
	// Answers says that what comes of a message goes back to its client. AWS: a route
	// response.
	Answers    bool
	Preflights bool // Pipeline answers preflights of CORS
	// Last sees every reply when nothing else changes it any more, gateway responses
	// and those of plugins among them. It waits for nothing, and what it returns
	// counts for nothing. Nil for none.
	Last     Step
	Pipeline *Pipeline
	// Recorder records its exchanges; nil leaves them to the stage's.
	Recorder Recorder
	Payload  string   // version of the events of an HTTP API's integration: "1.0" or "2.0"
	Names    []string // of its path parameters, in an HTTP API
	Scopes   []string // of which a caller's token must have one; none for no matter
	// For logs.
	Authorizer  string // its authorizer's name, "" for none
	KeyRequired bool   // callers need an API key
}
