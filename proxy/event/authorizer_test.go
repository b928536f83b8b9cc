package event

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
)

func TestToken(t *testing.T) {
	got := string(AppendToken([]byte(">"), newExchange("GET /a/b%20c?q=1"), `Bearer "x"`))
	const want = `>{"type":"TOKEN","authorizationToken":"Bearer \"x\"","methodArn":"arn:aws:execute-api:local:012345678901:a1b2c3/dev/GET/a/b%20c"}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The event of an authorizer is the one of a function, with two members in front
// and no content.
func TestAuthorization(t *testing.T) {
	ex := newExchange("POST /hello?a=1&a=2", "X-A: 1", "X-a: 2")
	ex.In.Content, ex.In.Whole = []byte("body"), true
	ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: "hello"})
	got := string(AppendAuthorization(nil, ex, nil))
	head := `{"type":"REQUEST","methodArn":"arn:aws:execute-api:local:012345678901:a1b2c3/dev/POST/hello",`
	whole := string(AppendRequest(nil, ex))
	if want := head + strings.TrimSuffix(whole[1:], `,"body":"body","isBase64Encoded":false}`) + "}"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The whole of an event 2.0, byte by byte.
func TestAuthorization2(t *testing.T) {
	ex := newExchange("GET /hello%20you?a=1&b=x%20y&a=%22&c", "X-Two: 1", "Cookie: a=b; c=d;", "x-two: \"2\"", "cookie: e=f", "User-Agent: agent", "Authorization: t")
	ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: "hello%20you"})
	ex.Route.Stage.Variables = map[string]string{"color": "blue"}
	got := strings.ReplaceAll(string(AppendAuthorization2([]byte(">"), ex, []string{"t", "\xff"})), ex.TraceID(), "T")
	const want = `>{"version":"2.0","type":"REQUEST","routeArn":"arn:aws:execute-api:local:012345678901:a1b2c3/dev/GET/hello%20you",` +
		`"identitySource":["t","�"],"routeKey":"ANY /{proxy+}","rawPath":"/dev/hello%20you","rawQueryString":"a=1&b=x%20y&a=%22&c",` +
		`"cookies":["a=b","c=d","e=f"],"headers":{"x-two":"1,\"2\"","user-agent":"agent","authorization":"t","host":"pets.localhost:8443","x-amzn-trace-id":"T",` +
		`"x-forwarded-for":"192.0.2.60","x-forwarded-port":"8443","x-forwarded-proto":"https"},` +
		`"queryStringParameters":{"a":"1,\"","b":"x y","c":""},` +
		`"requestContext":{"accountId":"012345678901","apiId":"a1b2c3","authentication":null,"domainName":"pets.localhost","domainPrefix":"pets",` +
		`"http":{"method":"GET","path":"/dev/hello%20you","protocol":"HTTP/1.1","sourceIp":"192.0.2.60","userAgent":"agent"},` +
		`"requestId":"3b241101-e2bb-4255-8caf-4136c566a962","routeKey":"ANY /{proxy+}","stage":"dev","time":"15/May/2020:06:01:09 +0000","timeEpoch":1589522469693},` +
		`"pathParameters":{"proxy":"hello%20you"},"stageVariables":{"color":"blue"}}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	bare := string(AppendAuthorization2(nil, newExchange("GET /"), nil))
	for _, member := range []string{"identitySource", "cookies", "queryStringParameters", "pathParameters", "stageVariables"} {
		if strings.Contains(bare, `"`+member+`"`) {
			t.Errorf("%s is there: %s", member, bare)
		}
	}
	ex.Domain.Certificate = &proxy.ClientCertificate{Subject: "CN=me"}
	if got := string(AppendAuthorization2(nil, ex, nil)); !strings.Contains(got, `"authentication":{"clientCert":{"clientCertPem":"","subjectDN":"CN=me",`) || !json.Valid([]byte(got)) {
		t.Errorf("got %s", got)
	}
}

// Every member of the documents that AWS publishes is in ours, with a value of
// the same kind or null.
func TestAuthorizationLikePublished(t *testing.T) {
	ex := newExchange("GET /request?QueryString1=x", "User-Agent: x", "Cookie: a=b")
	ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: "request"})
	ex.Route.Stage.Variables = map[string]string{"StageVar1": "x"}
	ex.Domain.Certificate = &proxy.ClientCertificate{PEM: "x", Subject: "CN=x", Issuer: "CN=y", Serial: "1", NotBefore: "x", NotAfter: "x"}
	f := func(name string, event []byte) {
		t.Helper()
		var want, got map[string]any
		if err := json.Unmarshal(oracle(t, name), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(event, &got); err != nil {
			t.Fatalf("%v in %s", err, event)
		}
		compareShape(t, name, want, got)
	}
	f("aws-lambda-go/apigw-custom-auth-request.json", AppendToken(nil, ex, "allow"))
	f("aws-lambda-go/apigw-custom-auth-request-type-request.json", AppendAuthorization(nil, ex, nil))
	f("aws-sam-cli/ApiGatewayRestRequestAuthorizer.json", AppendAuthorization(nil, ex, nil))
	f("aws-lambda-go/apigw-v2-custom-authorizer-v2-request.json", AppendAuthorization2(nil, ex, []string{"user1", "123"}))
}

func FuzzAuthorization(f *testing.F) {
	f.Add("/a/b", "x=1&x=%ff&&;a", "Cookie", "v\"\\;\x01\xff=;", "ctx")
	f.Add("//%zz", "%", "cookie", "", "\xff")
	f.Fuzz(func(t *testing.T, path, query, name, value, token string) {
		ex := newExchange("GET "+path+"?"+query, name+": "+value, name+": 2")
		ex.In.RawQuery, ex.In.Host, ex.Domain.Name = query, token, token
		ex.Params = append(ex.Params, proxy.Param{Name: token, Value: path})
		ex.Route.Stage.Variables = map[string]string{token: value, name: token}
		for _, b := range [][]byte{AppendToken(nil, ex, token), AppendAuthorization(nil, ex, nil), AppendAuthorization2(nil, ex, []string{token, value})} {
			if !json.Valid(b) || !utf8.Valid(b) {
				t.Fatalf("not JSON: %q", b)
			}
		}
		var two struct{ Headers map[string]string }
		if err := json.Unmarshal(AppendAuthorization2(nil, ex, nil), &two); err != nil {
			t.Fatal(err)
		}
		for name := range two.Headers {
			if strings.EqualFold(name, "cookie") {
				t.Errorf("a cookie among the headers %v", two.Headers)
			}
		}
	})
}
