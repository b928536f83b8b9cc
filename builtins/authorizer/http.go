package authorizer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/postern-gateway/postern/builtins/integration"
	"github.com/postern-gateway/postern/builtins/internal/sigv4"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/http1"
)

// HTTP returns the kind http: the event is posted to a URL.
func HTTP(o Options) proxy.Kind {
	return proxy.Kind{Name: "http", Role: proxy.AuthorizerKind, New: o.newHTTP}
}

func (own Options) newHTTP(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	r, err := newRemote(b, o)
	if err != nil {
		return proxy.Steps{}, err
	}
	return own.newFunction(b, o, r)
}

// remote is a function that is reached by HTTP.
type remote struct {
	// Set at construction.
	backend      proxy.Backend
	host, target string
	timeout      time.Duration
	fields       http1.Fields  // but for the trace id
	lambda       bool          // it speaks Lambda's Invoke API
	signer       *sigv4.Signer // nil: nobody signs
	calls        *sync.Pool    // of *proxy.Exchange
}

func newRemote(b proxy.Build, o proxy.Options) (*remote, error) {
	a := o.Authorizer
	r := &remote{timeout: time.Duration(a.Timeout), calls: &sync.Pool{New: func() any { return new(proxy.Exchange) }}}
	if r.timeout <= 0 {
		r.timeout = defaultPatience
	}
	var options *config.Backend
	if a.Backend != "" {
		named, found := o.Config.Backend[a.Backend]
		if !found {
			return nil, &config.KeyError{Path: []string{"backend"}, Text: fmt.Sprintf("no backend %q", a.Backend)}
		}
		options = &named
	}
	origin, host, target, err := integration.Endpoint(a.URL, b.Route)
	if err != nil {
		return nil, err
	}
	r.host, r.target = host, target
	var key *config.KeyError
	r.backend, err = b.Backend(origin, options)
	switch {
	case errors.As(err, &key):
		return nil, err
	case err != nil:
		return nil, &config.KeyError{Path: []string{"url"}, Text: err.Error()}
	}
	r.fields = http1.Fields{
		http1.NewField("Accept", "application/json"),
		http1.NewField("Content-Type", "application/json"),
		http1.NewField("User-Agent", "AmazonAPIGateway_"+b.Route.Stage.API.ID),
	}
	return r, nil
}

// Version is nothing: the configuration says all there is to know.
func (r *remote) Version() string { return "" }

// Invoke posts the event. Whether the client of ex has left makes no difference to
// it: others may wait for the answer, too.
func (r *remote) Invoke(ctx context.Context, ex *proxy.Exchange, event []byte) ([]byte, error) {
	call := r.calls.Get().(*proxy.Exchange)
	begin := time.Now()
	call.Begin(begin, nil)
	defer func() {
		call.End()
		r.calls.Put(call)
	}()
	// What a backend may go by: its limits, and whom it gets requests from.
	call.ID, call.ExtendedID, call.Route, call.Stage, call.Shard = ex.ID, ex.ExtendedID, ex.Route, ex.Stage, ex.Shard
	call.In.Client, call.In.Local, call.In.Fields = ex.In.Client, ex.In.Local, call.In.Fields[:0]
	call.Out = proxy.Outgoing{
		Method: "POST", Target: r.target, Host: r.host, Content: event, Length: int64(len(event)),
		Fields:  http1.AppendKnown(append(call.Out.Fields[:0], r.fields...), http1.XAmznTraceID, ex.TraceID()),
		Timeout: r.timeout, ContentTimeout: r.timeout,
	}
	if r.signer != nil {
		call.Out.Fields = r.signer.Sign(call.Out.Fields, sigv4.Request{Method: call.Out.Method, Path: r.target, Host: r.host}, event, begin)
	}
	if err := r.backend.Send(ctx, call); err != nil {
		return nil, err
	}
	call.Out.ContentTimeout = max(time.Millisecond, r.timeout-time.Since(begin))
	answer, err := readContent(&call.Back)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return answer, r.judge(&call.Back, answer)
}

// judge returns why back isn't an answer, nil if it is.
func (r *remote) judge(back *proxy.Response, content []byte) error {
	switch {
	case back.Status == 401 && !r.lambda:
		return &proxy.FunctionError{Message: unauthorized}
	case back.Status != 200:
		return fmt.Errorf("the status is %d", back.Status)
	}
	if !r.lambda || back.Fields.Get("X-Amz-Function-Error") == "" {
		return nil
	}
	if doc, err := document.Parse(content); err == nil {
		if said, found := functionError(doc); found {
			return said
		}
	}
	return errFunction
}

// errFunction is a failure of a function that says no more of it.
var errFunction = errors.New("the function failed")

// readContent reads what an answer has, up to what any answer may have and one byte
// more, in memory of its own.
func readContent(back *proxy.Response) ([]byte, error) {
	if back.Body == nil {
		return append([]byte(nil), back.Content...), nil
	}
	return io.ReadAll(io.LimitReader(back.Body, maxAnswer+1))
}

// Lambda returns the kind lambda: a function is invoked by the API that Lambda has,
// and those who stand in for it: SAM, LocalStack, the runtime interface emulator.
func Lambda(o Options) proxy.Kind {
	return proxy.Kind{Name: "lambda", Role: proxy.AuthorizerKind, New: o.newLambda}
}

func (own Options) newLambda(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	r, err := newRemote(b, o)
	if err != nil {
		return proxy.Steps{}, err
	}
	if strings.Contains(r.target, "?") {
		return proxy.Steps{}, &config.KeyError{Path: []string{"url"}, Text: "the endpoint has a query string", Hint: `a qualifier goes behind the function's name: "NAME:QUALIFIER"`}
	}
	// AWS: Lambda API reference, "Invoke". Nothing in a name or an ARN needs escapes
	// but "/", which functions of no kind have. Who signs escapes all the same, as AWS's
	// clients do: the signature covers the path as Lambda would spell it.
	function := o.Authorizer.Function
	if sign := o.Authorizer.Sign; sign != nil {
		function = sigv4.Escape(function)
		r.signer = sigv4.NewSigner(sign.ID, sigv4.NewKey(sign.Secret, sign.SessionToken, time.Time{}), signingRegion(o.Authorizer, b.Route), "lambda")
	}
	r.target = strings.TrimSuffix(r.target, "/") + "/2015-03-31/functions/" + function + "/invocations"
	r.fields = append(r.fields, http1.NewField("X-Amz-Invocation-Type", "RequestResponse"), http1.NewField("X-Amz-Log-Type", "None"))
	r.lambda = true
	return own.newFunction(b, o, r)
}

// signingRegion is the region that requests for a's function are signed for.
func signingRegion(a *config.Authorizer, route *proxy.Route) string {
	if a.Sign.Region != "" {
		return a.Sign.Region
	}
	if parts := strings.SplitN(a.Function, ":", 5); len(parts) == 5 && parts[0] == "arn" && parts[3] != "" {
		return parts[3]
	}
	return route.Stage.API.Region
}
