package event

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
)

// newExchange returns "METHOD /path?query" to the route "ANY /{proxy+}" of the
// stage dev on the API's default host.
func newExchange(request string, fields ...string) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(time.Date(2020, time.May, 15, 8, 1, 9, 693e6, time.FixedZone("", 7200)), nil)
	ex.ID, ex.ExtendedID = "3b241101-e2bb-4255-8caf-4136c566a962", "Mc7UVioPPHcEKPA="
	stage := &proxy.Stage{API: &proxy.API{Name: "pets", ID: "a1b2c3", Type: "rest", AccountID: "012345678901", Region: "local"}, Name: "dev"}
	ex.Route = &proxy.Route{Stage: stage, Key: "ANY /{proxy+}", Verb: "ANY", Resource: "/{proxy+}", ResourceID: "roq9wj"}
	ex.Domain = proxy.Domain{Name: "pets.localhost", Prefix: "pets", Default: true}
	method, target, _ := strings.Cut(request, " ")
	path, query, hasQuery := strings.Cut(target, "?")
	ex.Method, ex.Path, ex.FullPath = method, path, "/dev"+path
	ex.In.Method, ex.In.Path, ex.In.RawQuery, ex.In.HasQuery = method, "/dev"+path, query, hasQuery
	ex.In.Scheme, ex.In.Host, ex.In.Port, ex.In.Proto = "https", "pets.localhost", "8443", "HTTP/2.0"
	ex.In.Client, ex.In.Local = netip.MustParseAddrPort("192.0.2.60:5555"), netip.MustParseAddrPort("198.51.100.1:8443")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		ex.In.Fields.Add(name, value)
	}
	return ex
}

// doc is an event as a function sees it.
type doc struct {
	Resource, Path, HTTPMethod      string
	Headers, QueryStringParameters  map[string]string
	MultiValueHeaders               map[string][]string
	MultiValueQueryStringParameters map[string][]string
	PathParameters, StageVariables  map[string]string
	RequestContext                  map[string]any
	Body                            *string
	IsBase64Encoded                 bool
}

func read(t *testing.T, ex *proxy.Exchange) (d doc) {
	t.Helper()
	b := AppendRequest(nil, ex)
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return d
}

// The whole of a small event, byte by byte.
func TestRequestWhole(t *testing.T) {
	ex := newExchange("GET /hello", "x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793")
	ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: "hello"})
	got := strings.ReplaceAll(string(AppendRequest([]byte(">"), ex)), ex.TraceID(), "T")
	const want = `>{"resource":"/{proxy+}","path":"/hello","httpMethod":"GET",` +
		`"headers":{"Host":"pets.localhost:8443","X-Amzn-Trace-Id":"T","X-Forwarded-For":"192.0.2.60","X-Forwarded-Port":"8443","X-Forwarded-Proto":"https"},` +
		`"multiValueHeaders":{"Host":["pets.localhost:8443"],"X-Amzn-Trace-Id":["T"],"X-Forwarded-For":["192.0.2.60"],"X-Forwarded-Port":["8443"],"X-Forwarded-Proto":["https"]},` +
		`"queryStringParameters":null,"multiValueQueryStringParameters":null,"pathParameters":{"proxy":"hello"},"stageVariables":null,` +
		`"requestContext":{"accountId":"012345678901","apiId":"a1b2c3","deploymentId":null,"domainName":"pets.localhost","domainPrefix":"pets",` +
		`"extendedRequestId":"Mc7UVioPPHcEKPA=","httpMethod":"GET","identity":{"accessKey":null,"accountId":null,"apiKey":null,"apiKeyId":null,"caller":null,` +
		`"cognitoAuthenticationProvider":null,"cognitoAuthenticationType":null,"cognitoIdentityId":null,"cognitoIdentityPoolId":null,"principalOrgId":null,` +
		`"sourceIp":"192.0.2.60","user":null,"userAgent":null,"userArn":null},"path":"/dev/hello","protocol":"HTTP/1.1",` +
		`"requestId":"3b241101-e2bb-4255-8caf-4136c566a962","requestTime":"15/May/2020:06:01:09 +0000","requestTimeEpoch":1589522469693,` +
		`"resourceId":"roq9wj","resourcePath":"/{proxy+}","stage":"dev"},"body":null,"isBase64Encoded":false}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Paths as recorded from AWS.
func TestRequestPaths(t *testing.T) {
	f := func(path, param, wantPath, wantParam, wantFull string) {
		t.Helper()
		ex := newExchange("GET " + path)
		ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: param})
		d := read(t, ex)
		if d.Path != wantPath || d.PathParameters["proxy"] != wantParam || d.RequestContext["path"] != wantFull {
			t.Errorf("%s: path %q, parameter %q, requestContext.path %q", path, d.Path, d.PathParameters["proxy"], d.RequestContext["path"])
		}
	}
	f("/proxy-value/", "proxy-value", "/proxy-value/", "proxy-value", "/dev/proxy-value/")
	f("/proxy-value//double-slash", "proxy-value//double-slash", "/proxy-value//double-slash", "proxy-value//double-slash", "/dev/proxy-value//double-slash")
	f("//proxy-value", "proxy-value", "/proxy-value", "proxy-value", "/dev//proxy-value")
	f("/x/test%2Balias@h/plus/test+alias@h", "x/test%2Balias@h/plus/test+alias@h",
		"/x/test%2Balias@h/plus/test+alias@h", "x/test%2Balias@h/plus/test+alias@h", "/dev/x/test%2Balias@h/plus/test+alias@h")

	// A custom domain's base path is part of both.
	ex := newExchange("GET /hello")
	ex.Domain = proxy.Domain{Name: "api.example.com", Prefix: "api", BasePath: "v1"}
	ex.FullPath = "/v1/hello"
	if d := read(t, ex); d.Path != "/v1/hello" || d.RequestContext["path"] != "/v1/hello" || d.PathParameters != nil || d.RequestContext["domainName"] != "api.example.com" {
		t.Errorf("path %q, requestContext %v, pathParameters %v", d.Path, d.RequestContext, d.PathParameters)
	}
}

// Query strings as recorded from AWS.
func TestRequestQuery(t *testing.T) {
	f := func(query string, single map[string]string, multi map[string][]string) {
		t.Helper()
		d := read(t, newExchange("GET /x?"+query))
		if !reflect.DeepEqual(d.QueryStringParameters, single) || !reflect.DeepEqual(d.MultiValueQueryStringParameters, multi) {
			t.Errorf("%s: got %v and %v", query, d.QueryStringParameters, d.MultiValueQueryStringParameters)
		}
	}
	type one = map[string]string
	type all = map[string][]string
	f("email=test%2Balias@h&plus=test+alias@h&zhash=abort/%23f", one{"email": "test+alias@h", "plus": "test alias@h", "zhash": "abort/#f"},
		all{"email": {"test+alias@h"}, "plus": {"test alias@h"}, "zhash": {"abort/#f"}})
	f("category=electronics&category=books", one{"category": "books"}, all{"category": {"electronics", "books"}})
	f("a=1&b=2&a=3&A=4&a=5", one{"a": "5", "b": "2", "A": "4"}, all{"a": {"1", "3", "5"}, "b": {"2"}, "A": {"4"}})
	f("a=1;b=2", one{"a": "1", "b": "2"}, all{"a": {"1"}, "b": {"2"}})
	f("a&b=&=c", one{"a": "", "b": "", "": "c"}, all{"a": {""}, "b": {""}, "": {"c"}})
	f("%61=x&a=y", one{"a": "y"}, all{"a": {"x", "y"}})
	f("a=b=c", one{"a": "b=c"}, all{"a": {"b=c"}})
	f("a=%zz%4&b=%", one{"a": "%zz%4", "b": "%"}, all{"a": {"%zz%4"}, "b": {"%"}})
	f("a=%ff", one{"a": "\uFFFD"}, all{"a": {"\uFFFD"}})
	f("", nil, nil)
	f("&&;", nil, nil)
	// Many are told apart like few.
	var query []string
	single, multi := one{}, all{}
	for i := range 300 {
		name, value := fmt.Sprintf("n%d", i%90), fmt.Sprint(i)
		query = append(query, name+"="+value)
		single[name], multi[name] = value, append(multi[name], value)
	}
	f(strings.Join(query, "&"), single, multi)
}

// One row of what was recorded of AWS's Lambda events a call.
func TestRequestHeaders(t *testing.T) {
	f := func(field, wantName, want string) {
		t.Helper()
		d := read(t, newExchange("GET /x", field, "X-Other: 1"))
		name, _, _ := strings.Cut(field, ": ")
		if wantName == "" {
			for got := range d.Headers {
				if strings.EqualFold(got, name) || strings.EqualFold(strings.ReplaceAll(got, "-", "_"), name) && d.Headers[got] == "spoof" {
					t.Errorf("%s: event has %s: %s", field, got, d.Headers[got])
				}
			}
			return
		}
		if got, found := d.Headers[wantName]; !found || got != want || !slices.Equal(d.MultiValueHeaders[wantName], []string{want}) {
			t.Errorf("%s: event has %s: %q and %q", field, wantName, got, d.MultiValueHeaders[wantName])
		}
	}
	for _, name := range []string{"Connection", "Content-Length", "Content-MD5", "Expect", "Max-Forwards", "Proxy-Authenticate",
		"Server", "TE", "Transfer-Encoding", "Trailer", "Upgrade", "WWW-Authenticate", "Keep-Alive", "Proxy-Authorization", "Forwarded", "X-Forwarded-Host"} {
		f(name+": x", "", "")
	}
	f("X_Forwarded_For: spoof", "", "")
	f("Authorization: AWS4-HMAC-SHA256 Credential=x", "", "")
	f("Host: pets.localhost:8443", "Host", "pets.localhost:8443")
	f("Content-Encoding: gzip", "Content-Encoding", "gzip")
	f("via: 1.1 x", "via", "1.1 x")
	f("accept: */*", "accept", "*/*")
	f("Content-Type: text/plain", "Content-Type", "text/plain")
	// AWS's two exceptions from "as it came".
	f("authorization: Bearer x", "Authorization", "Bearer x")
	f("user-agent: curl", "User-Agent", "curl")
	// What the gateway knows replaces what the client says.
	f("X-Forwarded-For: 6.6.6.6", "X-Forwarded-For", "192.0.2.60")
	f("x-forwarded-for: 6.6.6.6", "X-Forwarded-For", "192.0.2.60")
	f("X-Forwarded-Port: 1", "X-Forwarded-Port", "8443")
	f("X-Forwarded-Proto: gopher", "X-Forwarded-Proto", "https")

	d := read(t, newExchange("GET /x", "X-A: 1", "x-b: 2", "x-a: 3", "X-A: 4", "Connection: x-b"))
	if d.Headers["X-A"] != "4" || !slices.Equal(d.MultiValueHeaders["X-A"], []string{"1", "3", "4"}) || d.Headers["x-a"] != "" || d.Headers["x-b"] != "" {
		t.Errorf("got %v and %v", d.Headers, d.MultiValueHeaders)
	}
	// Many are told apart like few.
	var fields, want []string
	for i := range 200 {
		fields = append(fields, fmt.Sprintf("%s: %d", []string{"X-Many", "x-many", "X-MANY"}[i%3], i))
		want = append(want, fmt.Sprint(i))
	}
	if d := read(t, newExchange("GET /x", fields...)); !slices.Equal(d.MultiValueHeaders["X-Many"], want) || d.Headers["X-Many"] != "199" {
		t.Errorf("got %v", d.MultiValueHeaders)
	}
}

func TestRequestContext(t *testing.T) {
	ex := newExchange("PATCH /x", "User-Agent: curl/8")
	ex.Route.Stage.Variables = map[string]string{"b": "2", "a": "1"}
	ex.In.Client = netip.MustParseAddrPort("[::ffff:192.0.2.7]:1")
	ex.Caller.Principal = "user|7"
	ex.Caller.Context = append(ex.Caller.Context, proxy.Param{Name: "number", Value: "1"}, proxy.Param{Name: "principalId", Value: "forged"}, proxy.Param{Name: "flag", Value: "true"})
	ex.Times.Authorizer = 12345 * time.Microsecond
	d := read(t, ex)
	if want := map[string]any{"principalId": "user|7", "number": "1", "flag": "true", "integrationLatency": 12.0}; !reflect.DeepEqual(d.RequestContext["authorizer"], want) {
		t.Errorf("authorizer %v, want %v", d.RequestContext["authorizer"], want)
	}
	identity := d.RequestContext["identity"].(map[string]any)
	if identity["sourceIp"] != "192.0.2.7" || identity["userAgent"] != "curl/8" || d.Headers["X-Forwarded-For"] != "192.0.2.7" {
		t.Errorf("identity %v", identity)
	}
	if want := map[string]string{"a": "1", "b": "2"}; !reflect.DeepEqual(d.StageVariables, want) || d.HTTPMethod != "PATCH" || d.RequestContext["httpMethod"] != "PATCH" {
		t.Errorf("event %+v", d)
	}
}

func TestRequestBody(t *testing.T) {
	f := func(content, want string, encoded bool) {
		t.Helper()
		ex := newExchange("POST /x")
		ex.In.Content, ex.In.Whole = []byte(content), true
		d := read(t, ex)
		if d.Body == nil || *d.Body != want || d.IsBase64Encoded != encoded {
			t.Errorf("%q: got %v, encoded %v", content, d.Body, d.IsBase64Encoded)
		}
	}
	f("plain", "plain", false)
	f("{\"a\":\r\n\t\"b\\\"\"}\x00\x1f", "{\"a\":\r\n\t\"b\\\"\"}\x00\x1f", false)
	f("héllo\u2028☃𝄞", "héllo\u2028☃𝄞", false)
	f("\xff\x00\x01", "/wAB", true)
	// With binary media types, the Content-Type decides. AWS: "Working with binary
	// media types for REST APIs".
	b := func(contentType, content, want string, encoded bool) {
		t.Helper()
		ex := newExchange("POST /x", "Content-Type: "+contentType)
		api := *ex.Route.Stage.API
		api.Binary = proxy.NewMediaTypes([]string{"image/*"})
		ex.Route.Stage.API = &api
		ex.In.Content, ex.In.Whole = []byte(content), true
		d := read(t, ex)
		if d.Body == nil || *d.Body != want || d.IsBase64Encoded != encoded {
			t.Errorf("%s %q: got %v, encoded %v", contentType, content, d.Body, d.IsBase64Encoded)
		}
	}
	b("image/png", "\xff\x00\x01", "/wAB", true)
	b("image/svg+xml; charset=utf-8", "<a/>", "PGEvPg==", true)
	b("text/plain", "plain", "plain", false)
	b("text/plain", "a\xffb", "a\uFFFDb", false)
	ex := newExchange("POST /x")
	ex.In.Whole = true
	if d := read(t, ex); d.Body != nil || d.IsBase64Encoded {
		t.Errorf("no content: got %q", *d.Body)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("/a/b", "x=1&x=%ff&&;a", "X-A", "v\"\\\x01\xff", []byte("body"), "ctx")
	f.Add("//%zz", "%", "host", "", []byte{0xff}, "principalId")
	f.Fuzz(func(t *testing.T, path, query, name, value string, content []byte, word string) {
		ex := newExchange("GET "+path+"?"+query, name+": "+value, name+": 2")
		ex.In.RawQuery = query
		ex.In.Content, ex.In.Whole = content, true
		ex.Params = append(ex.Params, proxy.Param{Name: word, Value: path})
		ex.Route.Stage.Variables = map[string]string{word: value, name: word}
		ex.Caller.Context = append(ex.Caller.Context, proxy.Param{Name: word, Value: value})
		ex.ID, ex.Domain.Name, ex.In.Host, ex.Method = word, value, word, name
		b := AppendRequest(nil, ex)
		if !json.Valid(b) || !utf8.Valid(b) {
			t.Fatalf("not JSON: %q", b)
		}
		var d doc
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatal(err)
		}
		got := ""
		if d.Body != nil {
			got = *d.Body
		}
		if d.IsBase64Encoded {
			raw, err := base64.StdEncoding.DecodeString(got)
			if err != nil {
				t.Fatal(err)
			}
			got = string(raw)
		}
		if got != string(content) {
			t.Errorf("body %q, want %q", got, content)
		}
		if want, err := url.ParseQuery(query); err == nil && !strings.Contains(query, ";") && utf8.ValidString(query) {
			for name, values := range want {
				if utf8.ValidString(name) && utf8.ValidString(values[0]) && d.MultiValueQueryStringParameters[name][0] != values[0] {
					t.Errorf("%q: %q has %q, want %q", query, name, d.MultiValueQueryStringParameters[name], values)
				}
			}
		}
	})
}

// oracle reads one of the published documents, or skips the test.
func oracle(t *testing.T, name string) []byte {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "oracles", "lambda-events", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("the published documents aren't here: %v", err)
	}
	return b
}

// Every member of the documents that AWS publishes is in ours, with a value of
// the same kind or null.
func TestRequestLikePublished(t *testing.T) {
	for _, name := range []string{"aws-lambda-go/apigw-request.json", "aws-lambda-go/apigw-restapi-openapi-request.json", "aws-sam-cli/AwsProxy.json"} {
		var want, got map[string]any
		if err := json.Unmarshal(oracle(t, name), &want); err != nil {
			t.Fatal(err)
		}
		ex := newExchange("POST /hello/world?name=me", "User-Agent: x")
		ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: "hello/world"})
		ex.Route.Stage.Variables = map[string]string{"stageVariableName": "x"}
		ex.In.Content = []byte("body")
		ex.Caller.Principal = "admin"
		ex.Domain.Certificate = &proxy.ClientCertificate{PEM: "x", Subject: "CN=x", Issuer: "CN=y", Serial: "1", NotBefore: "x", NotAfter: "x"}
		if err := json.Unmarshal(AppendRequest(nil, ex), &got); err != nil {
			t.Fatal(err)
		}
		delete(want["requestContext"].(map[string]any), "operationName") // methods have none yet
		compareShape(t, name, want, got)
	}
}

// compareShape checks that got has each member of want. Maps that the request
// fills are compared as a whole.
func compareShape(t *testing.T, at string, want, got map[string]any) {
	for key, w := range want {
		g, found := got[key]
		switch {
		case !found:
			t.Errorf("%s: no %s", at, key)
		case g == nil || w == nil || key == "queryStringParameters": // the sample has a placeholder there
		case reflect.TypeOf(w) != reflect.TypeOf(g):
			t.Errorf("%s: %s is %T, want %T", at, key, g, w)
		case key == "requestContext" || key == "identity" || key == "clientCert" || key == "validity":
			compareShape(t, at+": "+key, w.(map[string]any), g.(map[string]any))
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	made := newExchange("POST /hello/world?category=a%20b&category=c", "Host: pets.localhost", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0)",
		"Accept: */*", "Content-Type: application/json", "Accept-Encoding: gzip, deflate, br", "Content-Length: 24", "Cookie: session=8d7f6a5b4c3d2e1f")
	made.In.Content = []byte(`{"name":"cat","age":"7"}`)
	in, fields, ex := made.In, made.In.Fields, &proxy.Exchange{}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		ex.Begin(made.Start, nil)
		ex.ID, ex.ExtendedID, ex.Route, ex.Domain = made.ID, made.ExtendedID, made.Route, made.Domain
		ex.Method, ex.Path, ex.FullPath = made.Method, made.Path, made.FullPath
		kept := append(ex.In.Fields[:0], fields...)
		ex.In = in
		ex.In.Fields = kept
		dst = AppendRequest(dst[:0], ex)
		ex.End()
	}
}
