package authorizer

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Who lacks an identity source, or has a blank one, gets 401, and nobody is asked.
func TestSourcesMustBeThere(t *testing.T) {
	r := newRig(t)
	f := &fakeFunction{answer: func(context.Context, []byte) (string, error) { return allowing("*"), nil }}
	route := r.route("prod", "GET /pets/{id}")
	route.Stage.Variables = map[string]string{"color": "blue", "blank": " "}
	check := func(source, target string, asked bool, fields ...string) {
		t.Helper()
		a := byRequest(source)
		a.TTL = ttl(0)
		s := r.must(route, "a", a, f)
		before := f.calls.Load()
		ex := r.exchange(route, "GET "+target, fields...)
		ex.In.Client = netip.MustParseAddrPort("192.0.2.7:1")
		want := "UNAUTHORIZED"
		if asked {
			want = "allowed"
		}
		if got := outcome(s, ex); got != want || f.calls.Load() > before != asked {
			t.Errorf("%s in %s %q: got %s and %d calls", source, target, fields, got, f.calls.Load()-before)
		}
	}
	for _, header := range []string{"method.request.header.X-Id", "$request.header.x-ID"} {
		check(header, "/", true, "x-iD: 1")
		check(header, "/", false)
		check(header, "/", false, "X-Id: ")
		check(header, "/", false, "X-Id: \t ")
		check(header, "/?X-Id=1", false)
		check(header, "/", false, "X-Id: 1", "X-Id: ") // the last one counts, as in events
		check(header, "/", true, "X-Id: ", "X-Id: 1")
		// What ends at the gateway isn't there for anybody.
		check(header, "/", false, "X-Id: 1", "Connection: X-Id")
	}
	check("method.request.header.X-Forwarded-For", "/", false, "X-Forwarded-For: 10.0.0.1")
	check("method.request.header.X-Real-IP", "/", false, "X_Real_IP: 10.0.0.1")
	for _, query := range []string{"method.request.querystring.key", "$request.querystring.key"} {
		check(query, "/?key=1", true)
		check(query, "/?k%65y=1", true)
		check(query, "/?Key=1", false) // names of parameters heed case
		check(query, "/?key", false)
		check(query, "/?key=", false)
		check(query, "/?key=+%20", false)
		check(query, "/?key=1&key=", false)
		check(query, "/", false, "key: 1")
	}
	check("stageVariables.color", "/", true)
	check("$stageVariables.color", "/", true)
	check("stageVariables.blank", "/", false)
	check("stageVariables.none", "/", false)
	check("context.identity.sourceIp", "/", true)
	check("$context.routeKey", "/", true)
	check("context.httpMethod", "/", true)
	check("context.identity.userArn", "/", false)
}

func TestSourcesAreChecked(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /")
	f := &fakeFunction{}
	for _, source := range []string{
		"", "X-Id", "method.request.body.x", "method.request.path.id", "method.request.header.", "method.request.header.a b",
		"$request.querystring.", "stageVariables.", "context.", "context.nothing", "context.authorizer.principalId", "request",
	} {
		_, err := r.build(route, "a", byRequest("context.path", source), f)
		wantKey(t, err, "identity_source 1")
	}
	_, err := r.build(route, "a", byRequest(slices.Repeat([]string{"context.path"}, 17)...), f)
	wantKey(t, err, "identity_source")
}

// The header of a token is one, has one value, and may have to match an expression.
func TestToken(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /")
	var got string
	f := &fakeFunction{answer: func(_ context.Context, event []byte) (string, error) {
		got = string(event)
		return allowing("*"), nil
	}}
	a := byToken()
	a.TTL, a.IdentityValidationExpression = ttl(0), `(?i)bearer [a-z]{1,9}`
	s := r.must(route, "a", a, f)
	check := func(want string, fields ...string) {
		t.Helper()
		got = ""
		if o := outcome(s, r.exchange(route, "GET /pets/1", fields...)); o != want || (got != "") != (want == "allowed") {
			t.Errorf("%q: %s, event %s", fields, o, got)
		}
	}
	check("allowed", "authorization: BEARER abc")
	if want := `{"type":"TOKEN","authorizationToken":"BEARER abc","methodArn":"arn:aws:execute-api:local:000000000000:pets/prod/GET/pets/1"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	check("UNAUTHORIZED", "Authorization: Bearer abc ")
	check("UNAUTHORIZED", "Authorization: x Bearer abc")
	check("UNAUTHORIZED", "Authorization: Bearer "+strings.Repeat("a", 1<<14))
	check("UNAUTHORIZED", "Authorization: Bearer abc", "Authorization: Bearer abc")
	check("UNAUTHORIZED")

	// An expression that takes for ever for some tokens refuses them.
	a.IdentityValidationExpression = `(a+)+b`
	s = r.must(route, "a", a, f)
	check("UNAUTHORIZED", "Authorization: "+strings.Repeat("a", 5000))

	bad := func(key string, change func(*config.Authorizer)) {
		t.Helper()
		a := byToken()
		change(&a)
		_, err := r.build(route, "a", a, f)
		wantKey(t, err, key)
	}
	bad("identity_source", func(a *config.Authorizer) { a.IdentitySource = []string{"method.request.querystring.x"} })
	bad("identity_source", func(a *config.Authorizer) {
		a.IdentitySource = []string{"method.request.header.x", "method.request.header.y"}
	})
	bad("identity_validation_expression", func(a *config.Authorizer) { a.IdentityValidationExpression = "(" })
	bad("identity_validation_expression", func(a *config.Authorizer) { a.Event, a.IdentityValidationExpression = "request", "x" })
	bad("payload_format", func(a *config.Authorizer) { a.PayloadFormat = "2.0" })
	bad("ttl", func(a *config.Authorizer) { a.Event, a.TTL = "request", ttl(1) })
}

// AWS: a method's name with more than 1600 bytes is 414.
func TestLongARN(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /{proxy+}")
	f := &fakeFunction{answer: perRequest}
	s := r.must(route, "a", byToken(), f)
	ex := func(n int) *proxy.Exchange {
		fixed := len(proxy.AppendMethodARN(nil, r.exchange(route, "GET /")))
		return r.exchange(route, "GET /"+strings.Repeat("x", n-fixed), "Authorization: a")
	}
	if n := len(proxy.AppendMethodARN(nil, ex(1600))); n != 1600 {
		t.Fatalf("the ARN has %d bytes", n)
	}
	if got := outcome(s, ex(1600)); got == "URI_TOO_LONG" {
		t.Error("1600 bytes are refused")
	}
	if got := outcome(s, ex(1601)); got != "URI_TOO_LONG" {
		t.Errorf("1601 bytes: %s", got)
	}
}

// No two lists of values make the same key, however they are cut up.
func FuzzKeys(f *testing.F) {
	f.Add("a", "b", "ab", "")
	f.Add("a\x00", "b", "a", "\x00b")
	f.Add("\x01\x01a", "", "", "a")
	f.Add("x&b=y", "z", "x", "y&b=z")
	r := newRig(f)
	route := r.route("prod", "GET /")
	sources, err := parseSources([]string{"method.request.header.A", "method.request.header.B", "method.request.querystring.c"}, route)
	if err != nil {
		f.Fatal(err)
	}
	key := func(a, b, query string) (key string, values string) {
		ex := r.exchange(route, "GET /")
		for _, name := range []string{"A", "B"} {
			value := a
			if name == "B" {
				value = b
			}
			for one := range strings.SplitSeq(value, ",") { // several fields of a name
				ex.In.Fields.Add(name, one)
			}
		}
		ex.In.RawQuery = query
		passing := proxy.PassingOf(ex.In.Fields)
		var bytes []byte
		for i := range sources {
			last, _ := sources[i].last(&passing, ex)
			bytes = sources[i].appendKey(bytes, &passing, ex, last)
		}
		var params []string
		for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
			if value, found := strings.CutPrefix(part, "c="); found {
				params = append(params, value)
			} else if part == "c" {
				params = append(params, "")
			}
		}
		return string(bytes), fmt.Sprintf("%q %q %q", strings.Split(a, ","), strings.Split(b, ","), params)
	}
	f.Fuzz(func(t *testing.T, a1, b1, a2, b2 string) {
		if strings.ContainsAny(a1+b1+a2+b2, "%+") {
			return // the same parameter may be spelled otherwise
		}
		one, oneValues := key(a1, b1, "c="+a2+"&c="+b2)
		two, twoValues := key(a2, b2, "c="+a1+"&d="+b1)
		if (one == two) != (oneValues == twoValues) {
			t.Errorf("%s and %s: keys %q and %q", oneValues, twoValues, one, two)
		}
	})
}

// Two certificates with one subject and serial number are of two authorities.
func TestAuthoritiesAreToldApart(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	for _, source := range []string{"context.identity.clientCert.subjectDN", "context.identity.clientCert.serialNumber"} {
		f := &fakeFunction{version: source, answer: perRequest}
		s := r.must(route, "a", byRequest(source), f)
		for i, digest := range []string{"1", "2", "1", "2"} {
			ex := r.exchange(route, "GET /a")
			ex.Domain.Certificate = &proxy.ClientCertificate{Subject: "CN=anna", Serial: "01", Digest: digest}
			outcome(s, ex)
			if got, want := f.calls.Load(), int64(min(i+1, 2)); got != want {
				t.Errorf("%s, request %d: %d calls, want %d", source, i, got, want)
			}
		}
	}
}
