package access

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

const account = "123456789012"

// steps are what the kinds make of a route: before and after its authorizer.
type steps struct {
	guard, access proxy.Step
	route         *proxy.Route
}

// build makes the steps of a route with an authorizer of a type, "" for none, in an
// API with a resource policy, "" for none.
func build(t testing.TB, authorizer, policy string) steps {
	t.Helper()
	s, err := tryBuild(authorizer, policy)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryBuild(authorizer, policy string) (steps, error) {
	route := &proxy.Route{Stage: &proxy.Stage{Name: "prod", API: &proxy.API{Name: "pets", ID: "p1", Region: "eu-north-1", AccountID: account}}}
	configured := config.Route{}
	api := config.API{}
	cfg := &config.Config{
		API:     map[string]config.API{},
		Network: map[string]config.Network{"office": {Prefixes: []string{"192.0.2.0/24"}, ID: "vpc-1"}},
	}
	if authorizer != "" {
		configured.Authorizer = "who"
		api.Authorizer = map[string]config.Authorizer{"who": {Type: authorizer}}
	}
	if policy != "" {
		api.Policy = &config.Policy{Text: policy, Limit: 8192}
	}
	cfg.API["pets"] = api
	shared := map[any]any{}
	b := proxy.Build{Route: route, Shared: func(key any, build func() any) any {
		if _, made := shared[key]; !made {
			shared[key] = build()
		}
		return shared[key]
	}}
	s := steps{route: route}
	for into, kind := range map[*proxy.Step]proxy.Kind{&s.guard: Guard(), &s.access: Access()} {
		made, err := kind.New(b, proxy.Options{Config: cfg, Route: &configured})
		if err != nil {
			return s, err
		}
		*into = made[proxy.MethodRequest]
	}
	return s, nil
}

var (
	started = time.Date(2026, 1, 31, 8, 30, 0, 0, time.UTC)
	client  = netip.MustParseAddrPort("192.0.2.9:4711")
)

// exchange calls GET path.
func (s steps) exchange(path string) *proxy.Exchange {
	ex := &proxy.Exchange{}
	s.begin(ex, path)
	return ex
}

// said is a policy that says the same of everything.
type said proxy.Decision

func (d said) Decide(*proxy.Exchange, proxy.Action) proxy.Decision { return proxy.Decision(d) }

// policyThat is a resource policy that says d.
func policyThat(d proxy.Decision) string {
	statement := `{"Effect": "%s", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}`
	switch d {
	case proxy.Allowed:
		statement = fmt.Sprintf(statement, "Allow")
	case proxy.Denied:
		statement = fmt.Sprintf(statement, "Allow") + "," + fmt.Sprintf(statement, "Deny")
	default:
		statement = `{"Effect": "Allow", "Principal": "*", "Action": "execute-api:InvalidateCache", "Resource": "*"}`
	}
	return `{"Version": "2012-10-17", "Statement": [` + statement + `]}`
}

// outcome is what a request comes to.
type outcome struct {
	text  string // what the client is told; "" when it is let in
	asked bool   // the authorizer was
}

// call runs the guard, the authorizer, who fills the caller, and the access step.
func (s steps) call(t *testing.T, authorize func(*proxy.Exchange)) outcome {
	t.Helper()
	ex := s.exchange("/pets")
	run := func(step proxy.Step) string {
		if step == nil {
			return ""
		}
		verdict, err := step.Run(t.Context(), ex)
		if verdict != proxy.Continue {
			t.Fatalf("verdict %v", verdict)
		}
		var f proxy.Fault
		if err != nil && (!errors.As(err, &f) || f.Kind != proxy.AccessDenied || f.Cause == nil) {
			t.Fatalf("%v isn't a denial with a cause", err)
		}
		if err == nil {
			return ""
		}
		return f.Text()
	}
	o := outcome{text: run(s.guard)}
	if o.text != "" || authorize == nil {
		return o
	}
	o.asked = true
	authorize(ex)
	o.text = run(s.access)
	return o
}

const (
	anonymousRefused = "User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:eu-north-1:********9012:p1/prod/GET/pets"
	resourceDeny     = " with an explicit deny in a resource-based policy"
	resourceSilent   = " because no resource-based policy allows the execute-api:Invoke action"
	identityDeny     = " with an explicit deny in an identity-based policy"
	identitySilent   = " because no identity-based policy allows the execute-api:Invoke action"
	refused          = "User is not authorized to access this resource"
)

// AWS: "How API Gateway resource policies affect authorization workflow", API Gateway
// resource policy only.
func TestNoAuthorizer(t *testing.T) {
	f := func(resource proxy.Decision, want string) {
		t.Helper()
		if got := build(t, "", policyThat(resource)).call(t, nil); got.text != want {
			t.Errorf("%v: %q, want %q", resource, got.text, want)
		}
	}
	f(proxy.Allowed, "")
	f(proxy.Denied, anonymousRefused+resourceDeny)
	f(proxy.Undecided, anonymousRefused+resourceSilent)
}

// Table A, with a function: any Deny denies, else any Allow allows. What the
// resource policy denies, nobody is asked about.
func TestFunctions(t *testing.T) {
	f := func(function, resource proxy.Decision, want string, asked bool) {
		t.Helper()
		for _, kind := range []string{"wasm", "http", "lambda"} {
			got := build(t, kind, policyThat(resource)).call(t, func(ex *proxy.Exchange) { ex.Caller.Policy = said(function) })
			if got != (outcome{want, asked}) {
				t.Errorf("%s, %v and %v: %+v", kind, function, resource, got)
			}
		}
	}
	f(proxy.Allowed, proxy.Allowed, "", true)
	f(proxy.Allowed, proxy.Undecided, "", true)
	f(proxy.Allowed, proxy.Denied, anonymousRefused+resourceDeny, false)
	f(proxy.Undecided, proxy.Allowed, "", true)
	f(proxy.Undecided, proxy.Undecided, refused, true)
	f(proxy.Undecided, proxy.Denied, anonymousRefused+resourceDeny, false)
	f(proxy.Denied, proxy.Allowed, refused+identityDeny, true)
	f(proxy.Denied, proxy.Undecided, refused+identityDeny, true)
	f(proxy.Denied, proxy.Denied, anonymousRefused+resourceDeny, false)

	alone := func(p proxy.Policy, want string) {
		t.Helper()
		s := build(t, "http", "")
		if s.guard != nil {
			t.Error("a guard without a policy")
		}
		if got := s.call(t, func(ex *proxy.Exchange) { ex.Caller.Policy = p }); got.text != want {
			t.Errorf("%v: %q", p, got.text)
		}
	}
	alone(said(proxy.Allowed), "")
	alone(said(proxy.Denied), refused+identityDeny)
	alone(said(proxy.Undecided), refused)
	alone(nil, "") // one that let the caller pass, and says no more
}

// Tables A and B, with signatures.
func TestSignatures(t *testing.T) {
	caller := func(ex *proxy.Exchange, of string, p proxy.Policy) {
		ex.Caller.Identity = proxy.Identity{AccountID: of, UserARN: "arn:aws:iam::" + of + ":user/bob"}
		ex.Caller.Policy = p
	}
	f := func(of string, identity, resource proxy.Decision, want string) {
		t.Helper()
		got := build(t, "iam", policyThat(resource)).call(t, func(ex *proxy.Exchange) { caller(ex, of, said(identity)) })
		if want != "" {
			want = strings.Replace(anonymousRefused, "anonymous", "arn:aws:iam::"+of+":user/bob", 1) + want
		}
		if got != (outcome{want, true}) {
			t.Errorf("%s, %v and %v: %+v", of, identity, resource, got)
		}
	}
	const other = "111122223333"
	f(account, proxy.Allowed, proxy.Allowed, "")
	f(account, proxy.Allowed, proxy.Undecided, "")
	f(account, proxy.Allowed, proxy.Denied, resourceDeny)
	f(account, proxy.Undecided, proxy.Allowed, "")
	f(account, proxy.Undecided, proxy.Undecided, identitySilent)
	f(account, proxy.Undecided, proxy.Denied, resourceDeny)
	f(account, proxy.Denied, proxy.Allowed, identityDeny)
	f(account, proxy.Denied, proxy.Undecided, identityDeny)
	f(account, proxy.Denied, proxy.Denied, resourceDeny)

	f(other, proxy.Allowed, proxy.Allowed, "")
	f(other, proxy.Allowed, proxy.Undecided, resourceSilent)
	f(other, proxy.Allowed, proxy.Denied, resourceDeny)
	f(other, proxy.Undecided, proxy.Allowed, identitySilent)
	f(other, proxy.Undecided, proxy.Undecided, identitySilent)
	f(other, proxy.Undecided, proxy.Denied, resourceDeny)
	f(other, proxy.Denied, proxy.Allowed, identityDeny)
	f(other, proxy.Denied, proxy.Undecided, identityDeny)
	f(other, proxy.Denied, proxy.Denied, resourceDeny)

	// Without a resource policy the principal's own decide, and none allow nothing.
	for _, p := range []proxy.Policy{nil, Policies{}, Policies{said(proxy.Undecided)}, Policies{said(proxy.Allowed), said(proxy.Denied)}} {
		if got := build(t, "iam", "").call(t, func(ex *proxy.Exchange) { caller(ex, account, p) }); got.text == "" {
			t.Errorf("%v lets in", p)
		}
	}
	if got := build(t, "iam", "").call(t, func(ex *proxy.Exchange) { caller(ex, account, Policies{said(proxy.Undecided), said(proxy.Allowed)}) }); got.text != "" {
		t.Error(got.text)
	}
}

// AWS: Amazon Cognito and a resource policy: after the token, the policy must allow.
func TestTokens(t *testing.T) {
	f := func(resource proxy.Decision, want string) {
		t.Helper()
		for _, kind := range []string{"jwt", "cognito"} {
			if got := build(t, kind, policyThat(resource)).call(t, func(*proxy.Exchange) {}); got != (outcome{want, true}) {
				t.Errorf("%s, %v: %+v", kind, resource, got)
			}
		}
	}
	f(proxy.Allowed, "")
	f(proxy.Undecided, anonymousRefused+resourceSilent)
	f(proxy.Denied, anonymousRefused+resourceDeny)
}

// Where there is nothing to decide, there is nobody to decide it.
func TestNoSteps(t *testing.T) {
	for _, kind := range []string{"", "jwt", "cognito"} {
		if s := build(t, kind, ""); s.guard != nil || s.access != nil {
			t.Errorf("%q: %v, %v", kind, s.guard, s.access)
		}
	}
}

// Each condition key, as the exchange has it.
func TestKeys(t *testing.T) {
	s := build(t, "iam", "")
	ex := s.exchange("/pets")
	ex.In.Fields.Add("Referer", "https://example.com/")
	ex.Caller.Identity = proxy.Identity{
		AccountID: account, Caller: "AIDA1", OrgID: "o-1", UserARN: "arn:aws:iam::" + account + ":user/staff/bob",
		Tags: []proxy.Param{{Name: "Team", Value: "red"}},
	}
	f := func(operator, key, value string, want bool) {
		t.Helper()
		text := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {%q: {%q: %q}}}}`, operator, key, value)
		cfg := &config.Config{Network: map[string]config.Network{"office": {Prefixes: []string{"192.0.2.0/24"}, ID: "vpc-1"}}}
		p, err := Compile([]byte(text), Options{Networks: NewNetworks(cfg)})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Decide(ex, proxy.Invoke) == proxy.Allowed; got != want {
			t.Errorf("%s %s %s: %v", operator, key, value, got)
		}
	}
	f("IpAddress", "aws:SourceIp", "192.0.2.9", true)
	f("StringEquals", "aws:SourceIp", "192.0.2.9", true)
	f("StringEquals", "aws:SourceVpc", "office", true)
	f("StringEquals", "aws:SourceVpce", "vpc-1", true)
	f("IpAddress", "aws:VpcSourceIp", "192.0.2.9", true)
	f("DateEquals", "aws:CurrentTime", "2026-01-31T08:30:00Z", true)
	f("StringEquals", "aws:CurrentTime", "2026-01-31T08:30:00Z", true)
	f("NumericEquals", "aws:EpochTime", "1769848200", true)
	f("StringEquals", "aws:EpochTime", "1769848200", true)
	f("Bool", "aws:SecureTransport", "true", true)
	f("StringLike", "aws:UserAgent", "curl/*", true)
	f("StringLike", "aws:Referer", "https://example.com/*", true)
	f("StringEquals", "aws:RequestedRegion", "eu-north-1", true)
	f("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::"+account+":user/staff/bob", true)
	f("StringEquals", "aws:PrincipalAccount", account, true)
	f("StringEquals", "aws:PrincipalOrgID", "o-1", true)
	f("StringEquals", "aws:PrincipalType", "User", true)
	f("StringEquals", "aws:PrincipalTag/team", "red", true)
	f("StringEquals", "aws:userid", "AIDA1", true)
	f("StringEquals", "aws:username", "bob", true)

	// The session of a role.
	ex.Caller.Identity.UserARN = "arn:aws:sts::" + account + ":assumed-role/ops/monday"
	f("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::"+account+":role/ops", true)
	f("StringEquals", "aws:PrincipalType", "AssumedRole", true)
	f("Null", "aws:username", "true", true)
	ex.Caller.Identity.UserARN = "arn:aws:iam::" + account + ":root"
	f("StringEquals", "aws:PrincipalType", "Account", true)

	// Nobody, in the clear, from nowhere.
	ex = s.exchange("/")
	ex.In.Scheme, ex.In.Fields, ex.In.Client = "http", http1.Fields{}, netip.AddrPort{}
	f("Bool", "aws:SecureTransport", "false", true)
	f("StringEquals", "aws:PrincipalType", "Anonymous", true)
	for _, key := range []string{
		"aws:SourceIp", "aws:VpcSourceIp", "aws:SourceVpc", "aws:UserAgent", "aws:Referer", "aws:PrincipalArn", "aws:PrincipalAccount",
		"aws:PrincipalOrgID", "aws:PrincipalTag/team", "aws:userid", "aws:username",
	} {
		f("Null", key, "true", true)
	}
}

// An authorizer that answers with the name it was asked about lets in that method,
// however the client wrote it, and no other.
func TestEcho(t *testing.T) {
	s := build(t, "http", "")
	paths := []string{"/", "/pets", "/pets/7", "/a%20b", "/%70ets/8", "/*", "/%2A", "/a%2Fb", "/a%2fc", "/${aws:username}", "/100%25", "/%e2%82%ac", "/x/*/y", "/x/1/y"}
	for i, path := range paths {
		ex := s.exchange(path)
		name := proxy.AppendMethodARN(nil, ex)
		text := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": %q}]}`, name)
		p, err := Compile([]byte(text), Options{MaxResource: MaxResource})
		if err != nil {
			t.Fatal(err)
		}
		for j, other := range paths {
			want := i == j || path+other == "/*/%2A" || path+other == "/%2A/*"
			if got := p.Decide(s.exchange(other), proxy.Invoke) == proxy.Allowed; got != want {
				t.Errorf("%s lets in %s: %v", name, other, got)
			}
		}
		if p.Decide(s.exchange(path+"/"), proxy.Invoke) != proxy.Allowed {
			t.Errorf("%s keeps out a slash at the end", name)
		}
	}
}

// Whoever compiles an answer may use its memory again.
func TestTextIsFree(t *testing.T) {
	text := []byte(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:execute-api:*:*:*/${aws:PrincipalTag/x, 'pets'}",
		"Condition": {"StringEqualsIgnoreCase": {"aws:PrincipalTag/team": "RED"}, "StringEquals": {"aws:RequestedRegion": "eu-north-1"}}}}`)
	p, err := Compile(text, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		text[i] = 'z'
	}
	ex := build(t, "", "").exchange("/pets")
	ex.Caller.Identity.Tags = []proxy.Param{{Name: "team", Value: "red"}}
	if p.Decide(ex, proxy.Invoke) != proxy.Allowed {
		t.Error("the policy changed with the text that it was compiled from")
	}
}

func TestActions(t *testing.T) {
	p, err := Compile([]byte(`{"Statement": [
		{"Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": "*"},
		{"Effect": "Deny", "Action": "execute-api:InvalidateCache", "Resource": "*"}]}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ex := build(t, "", "").exchange("/")
	for action, want := range map[proxy.Action]proxy.Decision{
		proxy.Invoke: proxy.Undecided, proxy.InvalidateCache: proxy.Denied, proxy.ManageConnections: proxy.Allowed,
	} {
		if got := p.Decide(ex, action); got != want {
			t.Errorf("action %v: %v, want %v", action, got, want)
		}
	}
}

// What is wrong is said with its place, all at once, and at a time when nobody has
// called yet.
func TestMistakes(t *testing.T) {
	_, err := tryBuild("", "{\"Statement\": {\n\"Effect\": \"Maybe\",\n\"Sort\": 1}}")
	want := []string{
		`line 2, column 11 of the text: Statement.Effect: no effect "Maybe"`,
		`line 3, column 1 of the text: Statement: unknown element "Sort"`,
	}
	var got []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		key := e.(*config.KeyError)
		if strings.Join(key.Path, ".") != "policy" || key.Hint == "" {
			t.Errorf("%+v", key)
		}
		got = append(got, key.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got: %s\nwant: %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// benchmarked is a resource policy of usual size.
const benchmarked = `{"Version": "2012-10-17", "Statement": [
	{"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": ["execute-api:/prod/GET/pets/*", "execute-api:/prod/POST/pets"]},
	{"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*/admin/*"},
	{"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
	 "Condition": {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"]}, "Bool": {"aws:SecureTransport": "false"}}}]}`

func BenchmarkOpen(b *testing.B) {
	s := build(b, "", benchmarked)
	ex := &proxy.Exchange{}
	b.ReportAllocs()
	for b.Loop() {
		s.begin(ex, "/pets/7/toys")
		if _, err := s.guard.Run(b.Context(), ex); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSigned(b *testing.B) {
	s := build(b, "iam", benchmarked)
	own, err := Compile([]byte(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:eu-north-1:*:p1/prod/*/pets/${aws:PrincipalTag/pet}/*",
		 "Condition": {"StringEquals": {"aws:PrincipalTag/team": ["blue", "red"]}, "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}}]}`), Options{})
	if err != nil {
		b.Fatal(err)
	}
	bob := proxy.Identity{
		AccountID: account, UserARN: "arn:aws:iam::" + account + ":user/bob",
		Tags: []proxy.Param{{Name: "pet", Value: "7"}, {Name: "team", Value: "red"}},
	}
	ex := &proxy.Exchange{}
	b.ReportAllocs()
	for b.Loop() {
		s.begin(ex, "/pets/7/toys")
		ex.Caller.Policy, ex.Caller.Identity = own, bob
		if _, err := s.access.Run(b.Context(), ex); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNothing is what the other benchmarks do besides deciding.
func BenchmarkNothing(b *testing.B) {
	s := build(b, "", "")
	ex := &proxy.Exchange{}
	b.ReportAllocs()
	for b.Loop() {
		s.begin(ex, "/pets/7/toys")
	}
}

// BenchmarkCompile is what an answer of an authorizer costs, once.
func BenchmarkCompile(b *testing.B) {
	answer := []byte(`{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"arn:aws:execute-api:eu-north-1:123456789012:p1/prod/GET/pets"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(answer, Options{MaxResource: MaxResource}); err != nil {
			b.Fatal(err)
		}
	}
}

// begin makes ex what exchange returns, in the memory that it has.
func (s steps) begin(ex *proxy.Exchange, path string) {
	ex.Begin(started, nil)
	ex.Route, ex.Stage, ex.Method, ex.Path = s.route, s.route.Stage, "GET", path
	ex.In.Scheme = "https"
	ex.In.Client = client
	ex.In.Fields.Add("User-Agent", "curl/8.5")
}
