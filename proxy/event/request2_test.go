package event

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
)

// The whole of an integration's event 2.0, byte by byte.
func TestRequest2(t *testing.T) {
	ex := httpExchange("2.0", "POST /hello%20you?a=1&a=2", "X-Two: 1", "Cookie: a=b; c=d", "Content-Type: application/vnd.api+json; charset=utf-8")
	ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: "hello%20you+1"})
	ex.In.Content, ex.In.Whole = []byte(`{"é":1}`), true
	ex.Route.Stage.Variables = map[string]string{"color": "blue"}
	ex.Caller.Context = []proxy.Param{{Name: "color", Value: `"red"`}}
	got := strings.ReplaceAll(string(AppendRequest([]byte(">"), ex)), ex.TraceID(), "T")
	const want = `>{"version":"2.0","routeKey":"ANY /{proxy+}","rawPath":"/dev/hello%20you","rawQueryString":"a=1&a=2",` +
		`"cookies":["a=b","c=d"],"headers":{"x-two":"1","content-type":"application/vnd.api+json; charset=utf-8","host":"pets.localhost:8443","x-amzn-trace-id":"T",` +
		`"x-forwarded-for":"192.0.2.60","x-forwarded-port":"8443","x-forwarded-proto":"https"},` +
		`"queryStringParameters":{"a":"1,2"},` +
		`"requestContext":{"accountId":"012345678901","apiId":"a1b2c3","authentication":null,"authorizer":{"lambda":{"color":"\"red\""}},` +
		`"domainName":"pets.localhost","domainPrefix":"pets",` +
		`"http":{"method":"POST","path":"/dev/hello%20you","protocol":"HTTP/1.1","sourceIp":"192.0.2.60","userAgent":""},` +
		`"requestId":"3b241101-e2bb-4255-8caf-4136c566a962","routeKey":"ANY /{proxy+}","stage":"dev","time":"15/May/2020:06:01:09 +0000","timeEpoch":1589522469693},` +
		`"pathParameters":{"proxy":"hello you+1"},"stageVariables":{"color":"blue"},"body":"{\"é\":1}","isBase64Encoded":false}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	bare := string(AppendRequest(nil, httpExchange("2.0", "GET /")))
	for _, member := range []string{"cookies", "queryStringParameters", "pathParameters", "stageVariables", "authorizer", "body"} {
		if strings.Contains(bare, `"`+member+`"`) {
			t.Errorf("%s is there: %s", member, bare)
		}
	}
}

func TestAuthorizer2(t *testing.T) {
	f := func(c proxy.Caller, scopes []string, want string) {
		t.Helper()
		ex := httpExchange("2.0", "GET /")
		ex.Caller, ex.Route.Scopes = c, scopes
		event := AppendRequest(nil, ex)
		if !json.Valid(event) || !strings.Contains(string(event), `"authentication":null,"authorizer":`+want+`,"domainName"`) {
			t.Errorf("got\n%s\nwant\n%s", event, want)
		}
	}
	claims := []proxy.Param{{Name: "claims.sub", Value: "me"}, {Name: "claims.scope", Value: "a b c"}, {Name: "claims.aud", Value: "[x y]"}}
	f(proxy.Caller{Principal: "me", Context: claims}, nil, `{"jwt":{"claims":{"sub":"me","scope":"a b c","aud":"[x y]"},"scopes":null}}`)
	f(proxy.Caller{Principal: "me", Context: claims}, []string{"b", "d"}, `{"jwt":{"claims":{"sub":"me","scope":"a b c","aud":"[x y]"},"scopes":["b"]}}`)
	f(proxy.Caller{Context: []proxy.Param{{Name: "n", Value: "1"}}, Document: `{"n":1,"o":{"a":[]}}`}, nil, `{"lambda":{"n":1,"o":{"a":[]}}}`)
	f(proxy.Caller{Identity: proxy.Identity{AccessKey: "AK", AccountID: "1", Caller: "c", User: "u", UserARN: "arn"}}, nil,
		`{"iam":{"accessKey":"AK","accountId":"1","callerId":"c","cognitoIdentity":null,"principalOrgId":null,"userArn":"arn","userId":"u"}}`)
}

// What AWS publishes of format 2.0 has nothing that ours hasn't.
func TestRequest2LikePublished(t *testing.T) {
	f := func(name string, c proxy.Caller) {
		t.Helper()
		ex := httpExchange("2.0", "GET /my/path?parameter1=value1&parameter2=v", "Header1: value1", "Header2: v", "Cookie: cookie1", "Accept: */*", "Content-Length: 0", "User-Agent: x")
		ex.In.Content, ex.In.Whole = []byte("{}"), true
		ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: "x"})
		ex.Route.Stage.Variables = map[string]string{"stageVariable1": "x", "stageVariable2": "x"}
		ex.Domain.Certificate = &proxy.ClientCertificate{PEM: "x", Subject: "CN=x", Issuer: "CN=y", Serial: "1", NotBefore: "x", NotAfter: "x"}
		ex.Caller, ex.Route.Scopes = c, []string{"scope1"}
		var want, got map[string]any
		if err := json.Unmarshal(oracle(t, name), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(AppendRequest(nil, ex), &got); err != nil {
			t.Fatal(err)
		}
		// Of a file written by hand: headers aren't in lower case there.
		if headers, ok := want["headers"].(map[string]any); ok {
			lower := map[string]any{}
			for name, v := range headers {
				if name != "content-length" { // what isn't passed on
					lower[strings.ToLower(name)] = v
				}
			}
			want["headers"] = lower
		}
		compareShape(t, name, want, got)
	}
	claims := []proxy.Param{{Name: "claims.claim1", Value: "x"}, {Name: "claims.claim2", Value: "x"}, {Name: "claims.scope", Value: "scope1"}}
	f("aws-lambda-go/apigw-v2-request-no-authorizer.json", proxy.Caller{})
	f("aws-lambda-go/apigw-v2-request-lambda-authorizer.json", proxy.Caller{Context: []proxy.Param{{Name: "key", Value: "x"}}})
	f("aws-lambda-go/apigw-v2-request-jwt-authorizer.json", proxy.Caller{Context: claims})
	f("aws-lambda-go/apigw-v2-request-iam.json", proxy.Caller{Identity: proxy.Identity{AccessKey: "A", AccountID: "1", Caller: "c", User: "u", UserARN: "a", OrgID: "o"}})
}

// Format 1.0 is a REST API's event with a version and readable path parameters.
func TestRequest1InHTTPAPI(t *testing.T) {
	ex := httpExchange("1.0", "POST /a%20b?q=1", "Content-Type: image/png")
	ex.Params = append(ex.Params, proxy.Param{Name: "proxy", Value: "a%20b"})
	ex.In.Content, ex.In.Whole = []byte("hi"), true
	var got map[string]any
	if err := json.Unmarshal(AppendRequest(nil, ex), &got); err != nil {
		t.Fatal(err)
	}
	context := got["requestContext"].(map[string]any)
	for name, pair := range map[string][2]any{
		"version":           {got["version"], "1.0"},
		"body":              {got["body"], "aGk="},
		"isBase64Encoded":   {got["isBase64Encoded"], true},
		"proxy":             {got["pathParameters"].(map[string]any)["proxy"], "a b"},
		"resourceId":        {context["resourceId"], "ANY /{proxy+}"},
		"extendedRequestId": {context["extendedRequestId"], ex.ID},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
	if event := string(AppendRequest(nil, httpExchange("1.0", "GET /"))); !strings.HasSuffix(event, `,"body":null,"isBase64Encoded":false}`) || !json.Valid([]byte(event)) {
		t.Errorf("got %s", event)
	}
}

func TestHTTPAuthorization1(t *testing.T) {
	const begin = `{"version":"1.0","type":"REQUEST","methodArn":"arn:aws:execute-api:local:012345678901:a1b2c3/dev/GET/","identitySource":"a,b","authorizationToken":"a,b","resource":"/{proxy+}",`
	event := string(AppendAuthorization(nil, httpExchange("1.0", "GET /"), []string{"a", "b"}))
	if !strings.HasPrefix(event, begin) || !json.Valid([]byte(event)) {
		t.Errorf("got %s", event)
	}
}

func TestIsText(t *testing.T) {
	f := func(field string, want bool) {
		t.Helper()
		if got := isText(newExchange("POST /", field).In.Fields); got != want {
			t.Errorf("%s: %v", field, got)
		}
	}
	f("X: y", true)
	f("Content-Type: text/csv; charset=x", true)
	f("Content-Type: Application/JSON", true)
	f("Content-Type: application/problem+json", true)
	f("Content-Type: image/svg+xml", true)
	f("Content-Type: application/javascript", true)
	f("Content-Type: application/x-www-form-urlencoded", false)
	f("Content-Type: image/png", false)
	f("Content-Type: multipart/form-data; boundary=x", false)
	f("Content-Encoding: gzip", false)
}

// Whatever a client sends, the event is JSON, and has the content.
func FuzzRequest2(f *testing.F) {
	f.Add("/a/%20b", "x=1&x=%ff&&;a", "Cookie", "v\"\\\x01\xff;", []byte("body"), "application/json", true)
	f.Add("//%zz", "%", "Content-Encoding", "", []byte{0xff}, "", false)
	f.Fuzz(func(t *testing.T, path, query, name, value string, content []byte, media string, two bool) {
		payload := "1.0"
		if two {
			payload = Format2
		}
		ex := httpExchange(payload, "POST "+path+"?"+query, name+": "+value, name+": 2", "Content-Type: "+media)
		ex.In.RawQuery = query
		ex.In.Content, ex.In.Whole = content, true
		ex.Params = append(ex.Params, proxy.Param{Name: name, Value: path})
		ex.Route.Stage.Variables = map[string]string{name: value, value: media}
		ex.Caller.Context = append(ex.Caller.Context, proxy.Param{Name: name, Value: value})
		b := AppendRequest(nil, ex)
		var got struct {
			Body            string
			IsBase64Encoded bool
		}
		if err := json.Unmarshal(b, &got); err != nil || !utf8.Valid(b) {
			t.Fatalf("%v: %q", err, b)
		}
		if got.IsBase64Encoded {
			raw, err := base64.StdEncoding.DecodeString(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			got.Body = string(raw)
		}
		if got.Body != string(content) {
			t.Errorf("content %q came as %q", content, got.Body)
		}
	})
}
