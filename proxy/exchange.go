// Package proxy is the gateway's vocabulary: the Exchange that flows through
// the four phases, the Step that acts in one of them, the Kind that makes steps
// from configuration, the Fault that explains a failure, and the Pipeline that
// runs them.
package proxy

import (
	"context"
	"crypto/x509"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Exchange is one client request with everything that becomes of it. Each phase
// fills its own part of the Exchange and nothing else.
//
// The server owns it and reuses it for the next request of the connection:
// every string, slice and body in it is valid until the OnDone functions have
// run, and whoever needs one longer clones it. One goroutine works on an
// Exchange at a time.
type Exchange struct {
	// Filled by the server.
	ID         string // request id, a UUID; goes out as x-amzn-RequestId
	ExtendedID string // goes out as x-amz-apigw-id
	Start      time.Time
	In         Request
	Shard      uint8 // spreads counters over memory: connections have different ones

	// Filled by the matcher.
	Stage    *Stage // nil until host and path led to one
	Route    *Route // nil until one matched; then Stage is its stage
	HTTP     bool   // it leads to an HTTP API, whose clients are told less
	Domain   Domain
	Path     string // path after stage or base path, starts with "/", raw
	FullPath string // path with stage or base path: $context.path
	// PlainPath is Path as backends read it that take several slashes for one and what
	// stands behind ";" for no part of a segment; "" if they read the same, or if the API
	// says that none does. It leads to the same Route.
	PlainPath string
	Method    string  // effective verb: In.Method unless overridden
	Params    []Param // path parameters, raw (still percent-encoded)

	// Filled by method request.
	Caller  Caller
	Rewrite Rewrite

	// Filled by integration request.
	Out Outgoing

	// Filled by integration.
	Back Response

	// Filled by integration response, or by an early answer.
	Reply Response

	// Filled by the pipeline.
	Fault *Fault // why it failed; nil when it didn't
	Times Times
	Trace Trace

	// Filled by steps, for observe.
	Notes Notes

	// Socket is the connection of a WebSocket API that it is about; nil for none.
	Socket *Socket

	// Explain is what StartTrace began; nil, nearly always: nobody wants to know.
	Explain *explain.Trace

	// Text is memory for strings that live as long as the exchange.
	Text Arena

	latest  time.Duration // from Start to when the clock was read last
	kept    []kept
	done    []func()
	client  Client
	traceID string // what TraceID returned; "" until then
	fault   Fault  // what Fault points to
	scratch []byte

	bodyLimit int64 // what Run was told
}

// Request is what the client sent. Nobody changes it after the server filled it,
// but for request filters: they run before anything reads it, so that everybody
// has the same view of the request.
type Request struct {
	Method   string
	Scheme   string // "http" or "https"
	Host     string // lower case, without port; "" when the client sent none
	Port     string // port of Host as sent; "" when it had none
	Path     string // path of the target, raw, starts with "/" (or is "*")
	RawQuery string // without "?"; HasQuery tells "/a?" from "/a"
	HasQuery bool
	Proto    string       // "HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"
	Fields   http1.Fields // all of them, in order of arrival
	Body     Body         // nil when there is no content
	Length   int64        // of Body in bytes; http1.Unknown when it isn't known
	Content  []byte       // the whole body, once a step that needs it had it read
	Whole    bool         // Content is filled (it may be empty)
	Client   netip.AddrPort
	// ClientText is Client's address as text, if the server has it ready; whoever
	// sets Client sets it too, or to "". Exchange.ClientAddress gives it always.
	ClientText string
	// Hops are the trusted proxies that the request came through, from the
	// client's side to ours, as X-Forwarded-For writes them; "" for none.
	Hops    string
	Local   netip.AddrPort // what the client connected to, as far as is known
	Upgrade string         // protocol that the client asks to switch to, "" for none
	Trusted bool           // a trusted proxy brought it
	Private bool           // it came in by a listener for private endpoints
	TLS     *TLS           // nil for cleartext
}

// TLS is what is known of a client's TLS session.
type TLS struct {
	Version     string // "TLSv1.2", "TLSv1.3"
	CipherSuite string
	ServerName  string // SNI, lower case
	// Shown is what the client showed of itself, its own certificate first; nobody has
	// verified it. Domain.Certificate is what was.
	Shown []*x509.Certificate

	judged atomic.Pointer[Judgement] // the latest one
}

// Judgement is what was made of the certificates that a client showed.
type Judgement struct {
	By          any                // who judged
	Until       time.Time          // when it has to be made anew; zero for never
	Certificate *ClientCertificate // nil when none is needed and none was shown
	Err         error              // why the client isn't let in; nil when it is
}

// Judged returns the latest judgement if by made it and it holds at now, else what
// judge makes of it anew, which it keeps: connections last longer than
// configurations, and than certificates. Safe for concurrent use.
func (t *TLS) Judged(by any, now time.Time, judge func() *Judgement) *Judgement {
	j := t.judged.Load()
	if j == nil || j.By != by || !j.Until.IsZero() && now.After(j.Until) {
		j = judge()
		t.judged.Store(j)
	}
	return j
}

// ClientCertificate is the certificate by which a client proved who it is:
// $context.identity.clientCert.
type ClientCertificate struct {
	PEM                 string
	Subject, Issuer     string // distinguished names: "C=US,O=Example,CN=client"
	Serial              string // "a1:0b:…"
	NotBefore, NotAfter string // "May 28 12:30:02 2019 GMT"
	Digest              string // SHA-256 of it, as bytes: what no other one has, whoever signed that
}

// Domain tells by which name the request came in.
type Domain struct {
	Name     string // full host: $context.domainName
	Prefix   string // its first label: $context.domainPrefix
	BasePath string // matched base path mapping without slashes, "" for none
	Default  bool   // the {api}.<suffix> host: the path began with the stage
	HSTS     string // Strict-Transport-Security of its replies, "" for none
	// Certificate is the client's, if the domain asks for certificates and the client
	// has a good one; else nil.
	Certificate *ClientCertificate
}

// Outgoing is what the backend will get.
type Outgoing struct {
	Method  string
	Target  string // origin-form: path and query, encoded
	Host    string // value of the Host field
	Fields  http1.Fields
	Content []byte // whole content; used when Body is nil
	Body    Body   // content to stream; nil for none or Content
	Length  int64  // of Body; http1.Unknown sends it chunked
	Upgrade string // protocol to switch to, "" for none
	// Custom says that a function gets Content instead of an event, and that what it
	// answers is content: AWS's Lambda custom integration.
	Custom bool

	// Timeout is the longest wait for the answer's head; above 0.
	Timeout time.Duration
	// ContentTimeout is how long the answer's content may be waited for in all; 0
	// leaves it to the backend.
	ContentTimeout time.Duration
}

// Response is an answer: the backend's in Back, the client's in Reply.
type Response struct {
	Status  int // 100 to 599
	Fields  http1.Fields
	Content []byte // whole content; used when Body is nil
	Body    Body   // content to stream
	Length  int64  // of Body; http1.Unknown when it isn't known
	Tunnel  Tunnel // after 101 (Switching Protocols), else nil
	// Takeover is whose the connection is after 101, where it isn't a tunnel's.
	Takeover Takeover
}

// Param is one path parameter.
type Param struct{ Name, Value string }

// Param returns the value of path parameter name and whether it exists.
func (ex *Exchange) Param(name string) (value string, found bool) {
	for i := range ex.Params {
		if ex.Params[i].Name == name {
			return ex.Params[i].Value, true
		}
	}
	return "", false
}

// Caller is who calls, as the steps of method request found out. What stands in
// it lasts as long as the exchange at least and is only read.
type Caller struct {
	Principal string // principalId; "" when nobody was asked
	// Context is the authorizer's: $context.authorizer.<name>. A name with a dot is
	// a member of an object: "claims.sub".
	Context []Param
	// Document is the same as a JSON object, if it has other values than texts and comes
	// with an event 2.0; else "".
	Document string
	Identity Identity
	// Policy is what the authorizer's word comes to, if it is more than an allow for
	// this request; nil for none.
	Policy Policy
	// UsageKey is the API key that the authorizer names for the caller
	// (usageIdentifierKey); "" for none. It is a secret.
	UsageKey string
	Key      string // value of the API key that was accepted; "" for none. It is a secret
	KeyID    string // its id
}

// Identity is who signed a request: $context.identity. All is "" for requests
// that weren't signed.
type Identity struct {
	AccountID, Caller, User, UserARN, AccessKey, OrgID string
	Tags                                               []Param // aws:PrincipalTag/<name>; only read
}

// Rewrite is what a request filter wants a backend to get instead of what route
// and integration make of the request. Everybody else still sees the request as
// it was matched and authorized.
type Rewrite struct {
	Method string // "" for no change
	Path   string // whole, encoded, begins with "/"; "" for no change. The request's query goes with it
}

// Times are the durations that logs and metrics report.
type Times struct {
	Authorizer  time.Duration // all authorizers together
	Integration time.Duration // from sending to the backend's answer head
	Total       time.Duration // from the request head to the end of the reply

	// Began says how long after Start each phase began, and last when the reply was
	// ready, of exchanges whose Trace is sampled; 0 for phases that did not run.
	Began [phaseCount + 1]time.Duration
}

// Notes are what steps have to say about an exchange for the access record.
type Notes struct {
	BackendStatus int    // status the integration answered; 0 for none
	Retries       int    // further tries of the integration
	Target        string // address of the backend's target that was tried last, "host:port"; valid for ever
	BytesIn       int64  // content received
	BytesOut      int64  // content sent
	Plugin        string // the last one that was called, or the first that failed
	PluginRole    string // what it was called for: "authorize", "request", …
	PluginFailure string // "trap", "deadline", "answer", ...; "" for none
	Cache         Cached // what the cache had
	Truncated     bool   // the reply ended before its content did
	ClientGone    bool   // the client left before the reply was complete

	PluginTime     time.Duration // in calls of plugins, but for PluginWaiting
	PluginWaiting  time.Duration // in calls of plugins, for answers to their own requests
	PluginRequests int           // of plugins, to other servers
}

// Cached says what a cache had for an exchange.
type Cached uint8

// What a cache had.
const (
	CacheUnasked Cached = iota // there is none, or the request isn't one for it
	CacheMiss                  // the integration was asked. AWS: CacheMissCount
	CacheHit                   // the answer. AWS: CacheHitCount
)

// Client is the connection that an exchange came in by.
type Client interface {
	// Inform sends an informational answer (1xx) ahead of the reply.
	Inform(status int, fields http1.Fields) error
	// Gone reports whether the client has left. It costs a system call: ask
	// when something has taken long. It may be called from any goroutine.
	Gone() bool
}

// Inform passes an informational answer on to the client, if the client's
// protocol has such; otherwise it does nothing. RFC 9110, 15.2.
func (ex *Exchange) Inform(status int, fields http1.Fields) error {
	if ex.client == nil {
		return nil
	}
	return ex.client.Inform(status, fields)
}

// Preflight returns the method that a browser asks leave for before it sends a
// page's request to another origin, and false if the request isn't that question.
// Fetch Standard, "CORS-preflight request".
func (ex *Exchange) Preflight() (method string, is bool) {
	if ex.Method != "OPTIONS" {
		return "", false
	}
	method = ex.In.Fields.Get("Access-Control-Request-Method")
	return method, method != "" && ex.In.Fields.Get("Origin") != ""
}

// ClientGone reports whether the client has left, so that a step that waits for
// somebody else can give up. It costs a system call.
func (ex *Exchange) ClientGone() bool { return ex.client != nil && ex.client.Gone() }

// kept is the memory of one step.
type kept struct{ key, value any }

// Now returns the time, for half of what time.Now costs: only the monotonic
// clock is read, and the wall clock is taken to have gone on from Start with it.
func (ex *Exchange) Now() time.Time {
	ex.latest = time.Since(ex.Start)
	return ex.Start.Add(ex.latest)
}

// Lately returns what Now returned last, Start before its first call: the time,
// for those who know that nobody has waited for anything since, and to whom the
// time that the processor took makes no difference.
func (ex *Exchange) Lately() time.Time { return ex.Start.Add(ex.latest) }

// ClientAddress returns the address of the client as text, "" if it isn't known.
func (ex *Exchange) ClientAddress() string {
	in := &ex.In
	if in.ClientText == "" && in.Client.IsValid() {
		in.ClientText = ex.Text.Finish(in.Client.Addr().Unmap().WithZone("").AppendTo(ex.Text.Begin()))
	}
	return in.ClientText
}

// Keep remembers value for a later step of the same kind, under a key of a type
// that only this kind has.
func (ex *Exchange) Keep(key, value any) {
	for i := range ex.kept {
		if ex.kept[i].key == key {
			ex.kept[i].value = value
			return
		}
	}
	ex.kept = append(ex.kept, kept{key, value})
}

// Kept returns what was kept under key, or nil.
func (ex *Exchange) Kept(key any) any {
	for i := range ex.kept {
		if ex.kept[i].key == key {
			return ex.kept[i].value
		}
	}
	return nil
}

// OnDone has f run when the reply has been sent or given up, last one first.
func (ex *Exchange) OnDone(f func()) { ex.done = append(ex.done, f) }

// Begin makes ex ready for a request that arrived at start; client may be nil.
// It keeps the memory of ex's slices. The server calls it before it fills In.
func (ex *Exchange) Begin(start time.Time, client Client) {
	in, params, out, back, reply := ex.In.Fields[:0], ex.Params[:0], ex.Out.Fields[:0], ex.Back.Fields[:0], ex.Reply.Fields[:0]
	caller, text, keptMemory, done, scratch := ex.Caller.Context[:0], ex.Text, ex.kept[:0], ex.done[:0], ex.scratch
	*ex = Exchange{} // with anything in it, it would be made elsewhere and copied
	ex.Start, ex.client, ex.Text, ex.kept, ex.done, ex.scratch = start, client, text, keptMemory, done, scratch
	ex.In.Fields, ex.Params, ex.Out.Fields, ex.Back.Fields, ex.Reply.Fields = in, params, out, back, reply
	ex.Caller.Context = caller
	ex.Text.reset()
}

// BodyLimit is the most content of the request, in bytes, that a step may read
// whole or have decoded. It is known while the pipeline runs.
func (ex *Exchange) BodyLimit() int64 { return ex.bodyLimit }

// End runs the OnDone functions. The server calls it when the reply is sent.
func (ex *Exchange) End() {
	for i := len(ex.done) - 1; i >= 0; i-- {
		ex.done[i]()
	}
	clear(ex.done)
	clear(ex.kept)
	ex.done, ex.kept = ex.done[:0], ex.kept[:0]
}

// Recorder gets each finished exchange once. It must not keep it.
type Recorder interface {
	Record(ex *Exchange)
}

// Backend carries requests to one backend: one target or several.
type Backend interface {
	// Send sends ex.Out and fills ex.Back with the head of the answer; the
	// content is then read from ex.Back.Body. It sets ex.Times.Integration,
	// ex.Notes.BackendStatus, ex.Notes.Target and ex.Notes.Retries.
	//
	// The error is a Fault: IntegrationTimeout, IntegrationFailure, BadIntegration,
	// Overloaded when the backend is at its bounds, or ClientGone when the client
	// left while it waited. Safe for concurrent use.
	Send(ctx context.Context, ex *Exchange) error
}
