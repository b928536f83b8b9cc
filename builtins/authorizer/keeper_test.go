package authorizer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// A policy that is kept is judged anew for each method and path: none gets what
// another one was allowed.
func TestKeptPolicyIsJudgedForEachMethod(t *testing.T) {
	r := newRig(t)
	get, post := r.route("prod", "GET /{proxy+}"), r.route("prod", "POST /{proxy+}")
	f := &fakeFunction{answer: perRequest}
	onGet, onPost := r.must(get, "a", byToken(), f), r.must(post, "a", byToken(), f)
	check := func(s proxy.Step, route *proxy.Route, request, want string, calls int64) {
		t.Helper()
		if got := outcome(s, r.exchange(route, request, "Authorization: t")); got != want || f.calls.Load() != calls {
			t.Errorf("%s: %s after %d calls, want %s after %d", request, got, f.calls.Load(), want, calls)
		}
	}
	check(onGet, get, "GET /a", "allowed", 1)
	check(onGet, get, "GET /a", "allowed", 1)
	check(onGet, get, "GET /b", "denied", 1) // AWS: the classic complaint
	check(onPost, post, "POST /a", "denied", 1)
	check(onGet, get, "GET /a", "allowed", 1)
}

// With cache_by = "route" and "path", and where an answer isn't a policy, others ask
// for themselves.
func TestCacheBy(t *testing.T) {
	r := newRig(t)
	get, post := r.route("prod", "GET /{proxy+}"), r.route("prod", "ANY /{proxy+}")
	check := func(a config.Authorizer, answer func(context.Context, []byte) (string, error), calls ...int64) {
		t.Helper()
		r.decisions = NewDecisions()
		defer r.decisions.Close()
		f := &fakeFunction{answer: answer}
		onGet, onAny := r.must(get, "a", a, f), r.must(post, "a", a, f)
		for i, request := range []struct {
			step  proxy.Step
			route *proxy.Route
			text  string
		}{{onGet, get, "GET /a"}, {onGet, get, "GET /a"}, {onGet, get, "GET /b"}, {onAny, post, "POST /a"}, {onAny, post, "PUT /a"}} {
			outcome(request.step, r.exchange(request.route, request.text, "Authorization: t"))
			if got := f.calls.Load(); got != calls[i] {
				t.Errorf("%q by %q: %d calls after %s, want %d", a.PayloadFormat, a.CacheBy, got, request.text, calls[i])
			}
		}
	}
	a := byToken()
	check(a, perRequest, 1, 1, 1, 1, 1)
	a.CacheBy = "route"
	check(a, perRequest, 1, 1, 1, 2, 2)
	a.CacheBy = "path"
	check(a, perRequest, 1, 1, 2, 3, 4)
	a = byRequest("$request.header.Authorization")
	a.PayloadFormat = "2.0"
	simple := func(context.Context, []byte) (string, error) { return `{"isAuthorized":true}`, nil }
	check(a, simple, 1, 1, 2, 3, 4)
	a.CacheBy = "identity" // the operator's own word for it
	check(a, simple, 1, 1, 1, 1, 1)
	a = byRequest("method.request.header.Authorization", "$context.routeKey")
	check(a, perRequest, 1, 1, 1, 2, 2)
}

// Simple answers that differ by path are never shared.
func TestSimpleAnswersAreOfTheirPath(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "ANY /{proxy+}")
	f := &fakeFunction{answer: func(_ context.Context, event []byte) (string, error) {
		return fmt.Sprintf(`{"isAuthorized":%v}`, strings.Contains(string(event), `"rawPath":"/prod/open"`)), nil
	}}
	a := byRequest("method.request.header.A")
	a.PayloadFormat = "2.0"
	s := r.must(route, "a", a, f)
	for range 3 {
		for request, want := range map[string]string{"GET /open": "allowed", "GET /shut": "ACCESS_DENIED", "POST /open": "allowed", "GET /open/x": "ACCESS_DENIED"} {
			if got := outcome(s, r.exchange(route, request, "A: 1")); got != want {
				t.Errorf("%s: %s, want %s", request, got, want)
			}
		}
	}
	if n := f.calls.Load(); n != 4 {
		t.Errorf("%d calls, want 4", n)
	}
}

// Identities, stages, authorizers and versions of them don't share an answer.
func TestNobodySharesAnswers(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	f := &fakeFunction{version: "1", answer: perRequest}
	calls := int64(0)
	asks := func(what string, s proxy.Step, route *proxy.Route, fields ...string) {
		t.Helper()
		for i := range 2 {
			if i == 0 {
				calls++
			}
			outcome(s, r.exchange(route, "GET /a?q=1", fields...))
			if got := f.calls.Load(); got != calls {
				t.Fatalf("%s, request %d: %d calls, want %d", what, i, got, calls)
			}
		}
	}
	a := byRequest("method.request.header.A", "method.request.header.B")
	s := r.must(route, "a", a, f)
	asks("first", s, route, "A: 1", "B: 2")
	asks("another identity", s, route, "A: 1", "B: 3")
	asks("values the other way round", s, route, "A: 2", "B: 1")
	asks("values cut elsewhere", s, route, "A: 12", "B: 3")
	asks("values cut elsewhere", s, route, "A: 1", "B: 23")
	asks("a value twice", s, route, "A: 1", "A: 1", "B: 2")
	asks("another order of values", s, route, "A: 2", "A: 1", "B: 2")
	asks("and back", s, route, "A: 1", "A: 2", "B: 2")
	asks("three values", s, route, "A: 1", "A: 2", "B: 3")
	asks("three values, of which two are the other's", s, route, "A: 1", "B: 2", "B: 3")
	asks("an empty value between two", s, route, "A: 1", "A: ", "A: 2", "B: 3")
	asks("an empty value between the other's", s, route, "A: 1", "B: 2", "B: ", "B: 3")
	asks("a value with a length in front", s, route, "A: 1", "B: \x01\x012")
	asks("values with what stands between values", s, route, "A: x", "B: y\x00\x01z")
	asks("values with what stands between values", s, route, "A: x\x00\x01y", "B: z")
	asks("another name", r.must(route, "b", a, f), route, "A: 1", "B: 2")
	asks("another stage", r.must(r.route("test", "GET /a"), "a", a, f), r.route("test", "GET /a"), "A: 1", "B: 2")
	again := r.must(route, "a", a, f)
	f.version = "2"
	asks("another version of the function", r.must(route, "a", a, f), route, "A: 1", "B: 2")
	f.version = "1"
	longer := a
	longer.TTL = ttl(time.Hour)
	asks("another configuration", r.must(route, "a", longer, f), route, "A: 1", "B: 2")
	route.Stage.Variables = map[string]string{"v": "1"}
	asks("another stage variable", r.must(route, "a", a, f), route, "A: 1", "B: 2")
	calls--
	asks("what didn't change", again, route, "A: 1", "B: 2") // nobody is asked
}

// A denial is kept as an allow is; failures and 401 aren't.
func TestWhatIsKept(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	check := func(answer string, err error, want string, kept bool) {
		t.Helper()
		r.decisions = NewDecisions()
		defer r.decisions.Close()
		f := &fakeFunction{answer: func(context.Context, []byte) (string, error) { return answer, err }}
		a := byRequest("method.request.header.A")
		if strings.Contains(answer, "isAuthorized") {
			a.PayloadFormat = "2.0"
		}
		s := r.must(route, "a", a, f)
		for range 3 {
			if got := outcome(s, r.exchange(route, "GET /a", "A: 1")); got != want {
				t.Errorf("%s, %v: got %s, want %s", answer, err, got, want)
			}
		}
		if calls := f.calls.Load(); calls != map[bool]int64{true: 1, false: 3}[kept] {
			t.Errorf("%s, %v: %d calls", answer, err, calls)
		}
	}
	check(allowing("*"), nil, "allowed", true)
	check(strings.Replace(allowing("*"), "Allow", "Deny", 1), nil, "denied", true)
	check(allowing("arn:aws:execute-api:*:*:other/*"), nil, "denied", true)
	check(`{"isAuthorized":true}`, nil, "allowed", true)
	check(`{"isAuthorized":false}`, nil, "ACCESS_DENIED", true)
	check("", &proxy.FunctionError{Message: "Unauthorized"}, "UNAUTHORIZED", false)
	check(`{"errorMessage":"Unauthorized"}`, nil, "UNAUTHORIZED", false)
	check(`{"errorMessage":"unauthorized"}`, nil, "AUTHORIZER_FAILURE", false)
	check("", &proxy.FunctionError{Message: "no"}, "AUTHORIZER_FAILURE", false)
	check("", errDown, "AUTHORIZER_FAILURE", false)
	check("", proxy.Fault{Kind: proxy.IntegrationTimeout}, "AUTHORIZER_FAILURE", false)
	check("", proxy.Fault{Kind: proxy.Overloaded}, "OVERLOADED", false)
	check("{}", nil, "AUTHORIZER_CONFIGURATION_ERROR", false)
}

// An answer counts from when it came, by the monotonic clock of requests.
func TestTTL(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	f := &fakeFunction{answer: perRequest}
	a := byToken()
	a.TTL = ttl(time.Minute)
	s := r.must(route, "a", a, f)
	check := func(at time.Duration, calls int64) {
		t.Helper()
		ex := r.exchange(route, "GET /a", "Authorization: t")
		ex.Begin(r.now.Add(at), nil)
		fresh := r.exchange(route, "GET /a", "Authorization: t")
		fresh.Start = ex.Start
		outcome(s, fresh)
		if got := f.calls.Load(); got != calls {
			t.Errorf("after %v: %d calls, want %d", at, got, calls)
		}
	}
	check(0, 1)
	check(59*time.Second, 1)
	check(62*time.Second, 2)
	r.decisions = NewDecisions()
	defer r.decisions.Close()
	s = r.must(route, "a", a, f)
	check(-50*time.Second, 3) // a request that began then, whose answer came just now
	check(30*time.Second, 3)
	a.TTL = ttl(0)
	s = r.must(route, "a", a, f)
	check(0, 4)
	check(0, 5)
}

// What is kept belongs to nobody's exchange.
func TestKeptAnswersAreOwn(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	f := &fakeFunction{answer: perRequest}
	s := r.must(route, "a", byToken(), f)
	ex := r.exchange(route, "GET /a", "Authorization: t")
	for range 3 {
		outcome(s, ex)
		if got := fmt.Sprint(ex.Caller.Principal, ex.Caller.Context); got != "anna[{n 1}]" {
			t.Fatalf("caller is %s", got)
		}
		context := ex.Caller.Context
		context[0] = proxy.Param{Name: "n", Value: "changed"} // as the next exchange does
		fresh := r.exchange(route, "GET /a", "Authorization: t")
		fresh.Caller.Context = context[:0]
		ex = fresh
	}
}

// However many ask at once, one question goes out.
func TestOneQuestion(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	f := &fakeFunction{}
	release := make(chan struct{})
	f.answer = func(ctx context.Context, event []byte) (string, error) {
		<-release
		return perRequest(ctx, event)
	}
	s := r.must(route, "a", byToken(), f)
	var allowed atomic.Int64
	go func() {
		for f.calls.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		close(release)
	}()
	together(100, func(int) {
		if outcome(s, r.exchange(route, "GET /a", "Authorization: t")) == "allowed" {
			allowed.Add(1)
		}
	})
	if f.calls.Load() != 1 || allowed.Load() != 100 {
		t.Errorf("%d calls, %d of 100 allowed", f.calls.Load(), allowed.Load())
	}
	if n := len(r.decisions.flights); n != 0 {
		t.Errorf("%d flights are left", n)
	}
}

// waiting starts a request that leads, and returns when a second one waits for it.
func waiting(t *testing.T, r *rig, s proxy.Step, route *proxy.Route, ctx context.Context, begun <-chan struct{}) (lead, wait <-chan string) {
	t.Helper()
	run := func(ctx context.Context) <-chan string {
		done := make(chan string, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					done <- fmt.Sprint("panic: ", p)
				}
			}()
			_, err := s.Run(ctx, r.exchange(route, "GET /a", "Authorization: t"))
			if err == nil {
				done <- "allowed"
				return
			}
			var f proxy.Fault
			errors.As(err, &f)
			done <- f.Kind.String()
		}()
		return done
	}
	lead = run(ctx)
	<-begun
	wait = run(context.Background())
	// The second one can't be seen waiting; if it comes too late, it asks anew, as it
	// would have to anyway in the tests of this.
	time.Sleep(5 * time.Millisecond)
	return lead, wait
}

// A client that leaves takes nobody with it: another one who waits asks instead.
func TestLeaderLeaves(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	begun := make(chan struct{}, 2)
	f := &fakeFunction{}
	f.answer = func(ctx context.Context, event []byte) (string, error) {
		begun <- struct{}{}
		if f.calls.Load() > 1 {
			return perRequest(ctx, event)
		}
		<-ctx.Done()
		return "", proxy.Fault{Kind: proxy.ClientGone, Cause: ctx.Err()}
	}
	s := r.must(route, "a", byToken(), f)
	ctx, leave := context.WithCancel(context.Background())
	lead, wait := waiting(t, r, s, route, ctx, begun)
	leave()
	if got := <-lead; got != "CLIENT_GONE" {
		t.Errorf("who left got %s", got)
	}
	if got := <-wait; got != "allowed" {
		t.Errorf("who waited got %s", got)
	}
}

// A panic costs one request.
func TestLeaderPanics(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	begun, release := make(chan struct{}, 2), make(chan struct{})
	f := &fakeFunction{}
	f.answer = func(ctx context.Context, event []byte) (string, error) {
		begun <- struct{}{}
		if f.calls.Load() > 1 {
			return perRequest(ctx, event)
		}
		<-release
		panic("as asked")
	}
	s := r.must(route, "a", byToken(), f)
	lead, wait := waiting(t, r, s, route, context.Background(), begun)
	close(release)
	if got := <-lead; got != "panic: as asked" {
		t.Errorf("the first one got %s", got)
	}
	if got := <-wait; got != "allowed" {
		t.Errorf("who waited got %s", got)
	}
}

// Who waits gets a failure, too, and doesn't run into it again; but nobody who comes
// later.
func TestFailureIsShared(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	begun, release := make(chan struct{}, 3), make(chan struct{})
	f := &fakeFunction{answer: func(context.Context, []byte) (string, error) {
		begun <- struct{}{}
		<-release
		return "", errDown
	}}
	s := r.must(route, "a", byToken(), f)
	lead, wait := waiting(t, r, s, route, context.Background(), begun)
	close(release)
	if one, two := <-lead, <-wait; one != "AUTHORIZER_FAILURE" || two != one {
		t.Errorf("got %s and %s", one, two)
	}
	before := f.calls.Load()
	if before > 2 {
		t.Errorf("%d calls", before)
	}
	if got := outcome(s, r.exchange(route, "GET /a", "Authorization: t")); got != "AUTHORIZER_FAILURE" || f.calls.Load() != before+1 {
		t.Errorf("later: %s after %d calls", got, f.calls.Load())
	}
}

// Who isn't known isn't told so by an answer to somebody else's question.
func TestUnauthorizedIsNotShared(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	begun, release := make(chan struct{}, 2), make(chan struct{})
	f := &fakeFunction{}
	f.answer = func(ctx context.Context, event []byte) (string, error) {
		begun <- struct{}{}
		if f.calls.Load() > 1 {
			return perRequest(ctx, event)
		}
		<-release
		return "", &proxy.FunctionError{Message: "Unauthorized"}
	}
	s := r.must(route, "a", byToken(), f)
	lead, wait := waiting(t, r, s, route, context.Background(), begun)
	close(release)
	if one, two := <-lead, <-wait; one != "UNAUTHORIZED" || two != "allowed" {
		t.Errorf("got %s and %s", one, two)
	}
}

// Who waits waits no longer than it would for an answer of its own.
func TestPatience(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /a")
	k := r.decisions.keeper(time.Minute, 10*time.Millisecond)
	release, begun := make(chan struct{}), make(chan struct{})
	var lead sync.WaitGroup
	defer lead.Wait()
	defer close(release)
	lead.Go(func() {
		_ = k.decide(context.Background(), r.exchange(route, "GET /a"), "key", deciderFunc(func(context.Context, *proxy.Exchange) (int, error) {
			close(begun)
			<-release
			return 0, nil
		}))
	})
	<-begun
	err := k.decide(context.Background(), r.exchange(route, "GET /a"), "key", nil)
	if !errors.Is(err, proxy.Fault{Kind: proxy.AuthorizerFailure}) || !errors.Is(err, errImpatient) {
		t.Errorf("got %v", err)
	}
	ctx, leave := context.WithCancel(context.Background())
	leave()
	if err = k.decide(ctx, r.exchange(route, "GET /a"), "key", nil); !errors.Is(err, proxy.Fault{Kind: proxy.ClientGone}) {
		t.Errorf("got %v", err)
	}
}

type deciderFunc func(context.Context, *proxy.Exchange) (int, error)

func (f deciderFunc) decide(ctx context.Context, ex *proxy.Exchange) (int, error) { return f(ctx, ex) }

// Many clients with many identities on several methods, and an authorizer that fails
// now and then: nobody ever gets another one's answer.
func TestHammer(t *testing.T) {
	r := newRig(t)
	f := &fakeFunction{}
	f.answer = func(ctx context.Context, event []byte) (string, error) {
		switch n := f.calls.Load(); {
		case n%13 == 0:
			return "", errDown
		case n%17 == 0:
			return "", &proxy.FunctionError{Message: "Unauthorized"}
		}
		token := string(event)[strings.Index(string(event), "t-"):]
		token = token[:strings.IndexByte(token, '"')]
		return strings.Replace(allowing("arn:aws:execute-api:*:*:pets/*/GET/"+token), "anna", token, 1), nil
	}
	var steps []proxy.Step
	var routes []*proxy.Route
	for _, stage := range []string{"prod", "test"} {
		route := r.route(stage, "ANY /{proxy+}")
		routes = append(routes, route)
		steps = append(steps, r.must(route, "a", byToken(), f))
	}
	together(8, func(g int) {
		for i := range 400 {
			own, path := fmt.Sprint("t-", (i+g)%23), fmt.Sprint("t-", i%23)
			verb := []string{"GET", "POST"}[i%3/2]
			ex := r.exchange(routes[i%2], verb+" /"+path, "Authorization: "+own)
			got := outcome(steps[i%2], ex)
			if got == "allowed" && (own != path || verb != "GET" || ex.Caller.Principal != own) {
				t.Errorf("%s got %s %s as %s", own, verb, path, ex.Caller.Principal)
			}
		}
	})
	if n := len(r.decisions.flights); n != 0 {
		t.Errorf("%d flights are left", n)
	}
}

// nativeStep is a plugin that decides by itself.
type nativeStep struct{ calls int }

func (n *nativeStep) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	n.calls++
	ex.Caller.Principal = ex.Text.Concat("anna")
	ex.Caller.Context = append(ex.Caller.Context[:0], proxy.Param{Name: "tier", Value: ex.Text.Concat("gold")})
	return proxy.Continue, nil
}

type readingNative struct{ nativeStep }

func (*readingNative) NeedsWholeBody() {}

// Answers of plugins that decide by themselves are kept only if somebody says so,
// and then for one method and path; never those of plugins that see the content.
func TestNative(t *testing.T) {
	r := newRig(t)
	route := r.route("prod", "GET /{proxy+}")
	native := &nativeStep{}
	build := func(a config.Authorizer, step proxy.Step) (proxy.Step, error) {
		a.Type, a.Plugin = "wasm", "p"
		return r.kind(Wasm(Options{Decisions: r.decisions}), route, "a", a, proxy.Build{
			Plugin: func(proxy.Role, string) (proxy.Steps, error) { return proxy.Steps{proxy.MethodRequest: step}, nil },
		})
	}
	run := func(a config.Authorizer, calls ...int) {
		t.Helper()
		s, err := build(a, native)
		if err != nil {
			t.Fatal(err)
		}
		native.calls = 0
		for i, path := range []string{"/a", "/a", "/b"} {
			ex := r.exchange(route, "GET "+path, "A: 1")
			if got := outcome(s, ex); got != "allowed" || native.calls != calls[i] || fmt.Sprint(ex.Caller.Principal, ex.Caller.Context) != "anna[{tier gold}]" {
				t.Errorf("%s: %s after %d calls, %v", path, got, native.calls, ex.Caller)
			}
		}
	}
	run(config.Authorizer{}, 1, 2, 3)
	run(config.Authorizer{IdentitySource: []string{"method.request.header.A"}}, 1, 2, 3)
	run(config.Authorizer{IdentitySource: []string{"method.request.header.A"}, TTL: ttl(time.Minute)}, 1, 1, 2)
	for key, a := range map[string]config.Authorizer{"payload_format": {PayloadFormat: "2.0"}, "cache_by": {CacheBy: "path"}, "identity_validation_expression": {IdentityValidationExpression: "x"}} {
		_, err := build(a, native)
		wantKey(t, err, key)
	}
	_, err := build(config.Authorizer{IdentitySource: []string{"method.request.header.A"}, TTL: ttl(time.Minute)}, &readingNative{})
	wantKey(t, err, "ttl")
	s, err := build(config.Authorizer{}, &readingNative{})
	if _, whole := s.(proxy.WholeBody); !whole || err != nil {
		t.Errorf("the content isn't read: %v", err)
	}
}

func BenchmarkKept(b *testing.B) {
	r := newRig(b)
	for _, n := range []int{40, 1000} {
		b.Run(fmt.Sprint(n, " bytes"), func(b *testing.B) {
			route := r.route("prod", "GET /pets")
			f := &fakeFunction{answer: func(context.Context, []byte) (string, error) {
				return allowing("arn:aws:execute-api:*:*:*/prod/GET/*"), nil
			}}
			s := r.must(route, "a", byToken(), f)
			ex := r.exchange(route, "GET /pets", "Host: pets.localhost", "User-Agent: x", "Accept: */*", "Authorization: "+strings.Repeat("t", n))
			outcome(s, ex)
			fields := ex.In.Fields
			b.ReportAllocs()
			for b.Loop() {
				ex.Begin(r.now, nil)
				ex.Route, ex.Stage, ex.Method, ex.Path, ex.In.Fields = route, route.Stage, "GET", "/pets", fields
				if _, err := s.Run(context.Background(), ex); err != nil {
					b.Fatal(err)
				}
			}
			if f.calls.Load() != 1 {
				b.Fatal("asked again")
			}
		})
	}
}

// Answers whose policies have other networks compiled in aren't kept ones.
func TestScopeHasNetworks(t *testing.T) {
	r := newRig(t)
	b := proxy.Build{Route: r.route("prod", "GET /")}
	scope := func(prefixes ...string) string {
		t.Helper()
		cfg := &config.Config{Network: map[string]config.Network{"office": {Prefixes: prefixes}}}
		s, err := scopeOf(b, proxy.Options{Config: cfg, Authorizer: &config.Authorizer{}}, "", "identity", "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if one := scope("10.0.0.0/8"); one != scope("10.0.0.0/8") || one == scope("10.0.0.0/9") {
		t.Error("the scope doesn't go by networks")
	}
}
