package authorizer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/builtins/internal/sigv4"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// fakeBackend answers with a status and content, and keeps what it was sent.
type fakeBackend struct {
	url     string
	sent    proxy.Outgoing
	content string
	status  int
	fields  http1.Fields
	answer  io.Reader
	err     error
}

func (b *fakeBackend) Send(_ context.Context, ex *proxy.Exchange) error {
	b.sent, b.content = ex.Out, string(ex.Out.Content)
	b.sent.Fields = slices.Clone(ex.Out.Fields)
	if b.err != nil {
		return b.err
	}
	ex.Back = proxy.Response{Status: b.status, Fields: append(ex.Back.Fields[:0], b.fields...), Body: bodyText{b.answer}}
	return nil
}

type bodyText struct{ io.Reader }

func (bodyText) Trailers() http1.Fields { return nil }

// cutOff is a body that ends before its end.
type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (r *rig) remote(k proxy.Kind, a config.Authorizer, b *fakeBackend) (proxy.Step, *proxy.Route) {
	r.t.Helper()
	route := r.route("prod", "GET /a")
	route.Stage.Variables = map[string]string{"port": "9000"}
	s, err := r.kind(k, route, "a", a, proxy.Build{Backend: func(url string, _ *config.Backend) (proxy.Backend, error) {
		b.url = url
		return b, nil
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	return s, route
}

func TestHTTPAsks(t *testing.T) {
	r := newRig(t)
	a := byToken()
	a.URL = "http://Auth.example.com:${stageVariables.port}/authorize?x=1"
	b := &fakeBackend{status: 200, answer: strings.NewReader(allowing("*"))}
	s, route := r.remote(HTTP(Options{}), a, b)
	if got := outcome(s, r.exchange(route, "GET /a", "Authorization: t", "X-Secret: s")); got != "allowed" {
		t.Errorf("got %s", got)
	}
	var fields []string
	for _, f := range b.sent.Fields {
		if f.Name != "X-Amzn-Trace-Id" {
			fields = append(fields, f.Name+": "+f.Value)
		}
	}
	got := strings.Join([]string{b.url, b.sent.Method, b.sent.Host, b.sent.Target, strings.Join(fields, ", "), b.content}, "\n")
	const want = "http://auth.example.com:9000\nPOST\nauth.example.com:9000\n/authorize?x=1\n" +
		"Accept: application/json, Content-Type: application/json, User-Agent: AmazonAPIGateway_pets\n" +
		`{"type":"TOKEN","authorizationToken":"t","methodArn":"arn:aws:execute-api:local:000000000000:pets/prod/GET/a"}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if b.sent.Timeout != defaultPatience || b.sent.ContentTimeout != defaultPatience {
		t.Errorf("it waits for %v and %v", b.sent.Timeout, b.sent.ContentTimeout)
	}
}

// Only 200 with an answer allows.
func TestHTTPAnswers(t *testing.T) {
	r := newRig(t)
	f := func(kind string, status int, fields []string, answer string, err error, want string) {
		t.Helper()
		b := &fakeBackend{status: status, err: err, answer: strings.NewReader(answer)}
		if answer == "cut" {
			b.answer = cutOff{}
		}
		for _, field := range fields {
			name, value, _ := strings.Cut(field, ": ")
			b.fields.Add(name, value)
		}
		a := byToken()
		a.URL, a.TTL = "http://127.0.0.1:1/", ttl(0)
		k := HTTP(Options{})
		if kind == "lambda" {
			k, a.Function = Lambda(Options{}), "f"
		}
		s, route := r.remote(k, a, b)
		if got := outcome(s, r.exchange(route, "GET /a", "Authorization: t")); got != want {
			t.Errorf("%s: %d %q %.60q %v: got %s, want %s", kind, status, fields, answer, err, got, want)
		}
	}
	for _, kind := range []string{"http", "lambda"} {
		f(kind, 200, nil, allowing("*"), nil, "allowed")
		f(kind, 200, nil, allowing("arn:aws:execute-api:*:*:other/*"), nil, "denied")
		f(kind, 200, nil, `{"errorMessage":"Unauthorized","errorType":"Error"}`, nil, "UNAUTHORIZED")
		f(kind, 200, nil, `{"errorMessage":"boom"}`, nil, "AUTHORIZER_FAILURE")
		f(kind, 200, nil, "", nil, "AUTHORIZER_CONFIGURATION_ERROR")
		f(kind, 200, nil, "cut", nil, "AUTHORIZER_FAILURE")
		f(kind, 200, nil, allowing("*")+strings.Repeat(" ", 1<<20), nil, "AUTHORIZER_CONFIGURATION_ERROR")
		for _, status := range []int{201, 204, 301, 302, 307, 400, 403, 404, 429, 500, 503} {
			f(kind, status, []string{"Location: http://127.0.0.1:2/"}, allowing("*"), nil, "AUTHORIZER_FAILURE")
		}
		f(kind, 0, nil, "", errors.New("no route to host"), "AUTHORIZER_FAILURE")
		f(kind, 0, nil, "", proxy.Fault{Kind: proxy.IntegrationTimeout}, "AUTHORIZER_FAILURE")
		f(kind, 0, nil, "", proxy.Fault{Kind: proxy.IntegrationFailure}, "AUTHORIZER_FAILURE")
		f(kind, 0, nil, "", proxy.Fault{Kind: proxy.Overloaded}, "OVERLOADED")
	}
	f("http", 401, nil, "", nil, "UNAUTHORIZED")
	f("lambda", 401, nil, "", nil, "AUTHORIZER_FAILURE") // the endpoint doesn't know us
	// AWS: Lambda API reference, "Invoke": errors of functions have the status 200.
	f("lambda", 200, []string{"X-Amz-Function-Error: Unhandled"}, `{"errorMessage":"Unauthorized"}`, nil, "UNAUTHORIZED")
	f("lambda", 200, []string{"X-Amz-Function-Error: Unhandled"}, `{"errorMessage":"timeout"}`, nil, "AUTHORIZER_FAILURE")
	f("lambda", 200, []string{"X-Amz-Function-Error: Handled"}, allowing("*"), nil, "AUTHORIZER_FAILURE")
}

func TestLambdaInvokes(t *testing.T) {
	r := newRig(t)
	b := &fakeBackend{status: 200, answer: strings.NewReader(allowing("*"))}
	a := byToken()
	a.URL, a.Function = "http://127.0.0.1:9001/base/", "arn:aws:lambda:local:000000000000:function:authorize:live"
	s, route := r.remote(Lambda(Options{}), a, b)
	outcome(s, r.exchange(route, "GET /a", "Authorization: t"))
	if want := "/base/2015-03-31/functions/arn:aws:lambda:local:000000000000:function:authorize:live/invocations"; b.sent.Target != want {
		t.Errorf("got %s", b.sent.Target)
	}
	if b.sent.Fields.Get("X-Amz-Invocation-Type") != "RequestResponse" {
		t.Errorf("fields are %v", b.sent.Fields)
	}
	for _, url := range []string{"http://127.0.0.1:9001/?a=b", "ftp://x/", "http://127.0.0.1/{id}", "http://${stageVariables.none}/"} {
		a.URL = url
		_, err := r.kind(Lambda(Options{}), route, "a", a, proxy.Build{Backend: func(string, *config.Backend) (proxy.Backend, error) { return b, nil }})
		wantKey(t, err, "url")
	}
	a.URL, a.Backend = "http://127.0.0.1/", "none"
	_, err := r.kind(Lambda(Options{}), route, "a", a, proxy.Build{})
	wantKey(t, err, "backend")
}

// With credentials, what Lambda gets is signed for it: by whom, for which region, and
// with a path that all spell alike.
func TestLambdaSigns(t *testing.T) {
	r := newRig(t)
	f := func(url, function, region, wantTarget, wantRegion string) {
		t.Helper()
		b := &fakeBackend{status: 200, answer: strings.NewReader(allowing("*"))}
		a := byToken()
		a.URL, a.Function = url, function
		a.Sign = &config.Signing{ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG", SessionToken: "session", Region: region}
		s, route := r.remote(Lambda(Options{}), a, b)
		if got := outcome(s, r.exchange(route, "GET /a", "Authorization: t")); got != "allowed" {
			t.Errorf("got %s", got)
		}
		if b.sent.Target != wantTarget {
			t.Errorf("the target is %s, want %s", b.sent.Target, wantTarget)
		}
		check, err := sigv4.NewVerifier(wantRegion, "lambda", false).Begin(sigv4.Request{
			Method: b.sent.Method, Path: b.sent.Target, Host: b.sent.Host, Fields: b.sent.Fields,
		})
		if err != nil {
			t.Fatal(err)
		}
		key := sigv4.NewKey(a.Sign.Secret, a.Sign.SessionToken, time.Time{})
		if err := check.Admit(key, time.Now()); err != nil {
			t.Error(err)
		}
		sum := sha256.Sum256([]byte(b.content))
		if err := check.Verify(key, hex.EncodeToString(sum[:])); err != nil || check.KeyID != "AKIDEXAMPLE" {
			t.Errorf("%s: %v", check.KeyID, err)
		}
		for _, name := range []string{"X-Amz-Invocation-Type", "Content-Type", "Host"} {
			if !check.Signs(name) {
				t.Errorf("%s isn't signed", name)
			}
		}
	}
	f("https://lambda.eu-west-1.amazonaws.com/", "authorize", "eu-west-1", "/2015-03-31/functions/authorize/invocations", "eu-west-1")
	f("http://127.0.0.1:9001/base", "arn:aws:lambda:us-east-2:123456789012:function:a:live", "",
		"/base/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-2%3A123456789012%3Afunction%3Aa%3Alive/invocations", "us-east-2")
	f("http://127.0.0.1:9001", "authorize:$LATEST", "", "/2015-03-31/functions/authorize%3A%24LATEST/invocations", "local")
}
