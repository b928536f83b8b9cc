package responsecache

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

func newOwn(t testing.TB) *rig {
	return newRig(t, nil, config.Integration{Cache: &config.IntegrationCache{Mode: mode9111}})
}

// While a backend is asked anew, clients get the old answer. RFC 5861, 3.
func TestStaleWhileRevalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOwn(t)
		r.origin.answer = says("one", "Cache-Control: max-age=10, stale-while-revalidate=20")
		r.want(200, "one", "GET /a")
		time.Sleep(15 * time.Second)
		slow := make(chan struct{})
		r.origin.answer = func(ctx context.Context, ex *proxy.Exchange) error {
			<-slow
			answer(ex, 200, "two", "Cache-Control: max-age=10, stale-while-revalidate=20")
			return nil
		}
		for range 5 {
			r.want(200, "one", "GET /a")
		}
		synctest.Wait()
		r.called(2)
		close(slow)
		synctest.Wait()
		r.want(200, "two", "GET /a")
		r.called(2)
		// Beyond that time nobody gets it.
		time.Sleep(31 * time.Second)
		r.origin.answer = says("three", "Cache-Control: max-age=10")
		r.want(200, "three", "GET /a")
	})
}

// A backend that fails is stood in for, for as long as it allows. RFC 5861, 4.
func TestStaleIfError(t *testing.T) {
	fails := func(_ context.Context, ex *proxy.Exchange) error {
		return proxy.Fault{Kind: proxy.IntegrationFailure, Cause: errors.New("refused")}
	}
	busy := func(_ context.Context, ex *proxy.Exchange) error {
		answer(ex, 503, "busy")
		return nil
	}
	f := func(control string, broken func(context.Context, *proxy.Exchange) error, status int, content string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r := newOwn(t)
			r.origin.answer = says("one", "Cache-Control: "+control)
			r.want(200, "one", "GET /a")
			time.Sleep(15 * time.Second)
			r.origin.answer = broken
			r.want(status, content, "GET /a")
		})
	}
	f("max-age=10, stale-if-error=60", fails, 200, "one")
	f("max-age=10, stale-if-error=60", busy, 200, "one")
	f("max-age=10, stale-if-error=1", busy, 503, "busy")
	f("max-age=10", busy, 503, "busy")
	f("max-age=10, stale-if-error=60, must-revalidate", busy, 503, "busy")
	f("s-maxage=10, stale-if-error=60", busy, 503, "busy")
	f("no-cache, max-age=100, stale-if-error=60", busy, 503, "busy")
}

// A 304 renews what is kept but for what describes its content; other answers replace it.
func TestRevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOwn(t)
		r.origin.answer = says("one", "Cache-Control: max-age=10", `ETag: "1"`, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "X-A: old", "X-B: kept", "Content-Encoding: identity")
		r.want(200, "one", "GET /a")
		time.Sleep(11 * time.Second)
		r.origin.answer = func(_ context.Context, ex *proxy.Exchange) error {
			if ex.Out.Fields.Get("If-None-Match") != `"1"` || ex.Out.Fields.Get("If-Modified-Since") == "" {
				t.Errorf("asks with %v", ex.Out.Fields)
			}
			answer(ex, 304, "", "Cache-Control: max-age=20", "X-A: new", "Content-Encoding: other", "Set-Cookie: a=b")
			return nil
		}
		ex := r.fill(&proxy.Exchange{}, "GET /a", `If-None-Match: "0"`)
		if status, text := r.run(t.Context(), ex); status != 200 || text != "one" {
			t.Errorf("got %d %q", status, text)
		}
		if ex.Reply.Fields.Get("Set-Cookie") != "a=b" {
			t.Error("the cookie is lost")
		}
		time.Sleep(19 * time.Second)
		ex = r.fill(&proxy.Exchange{}, "GET /a")
		r.run(t.Context(), ex)
		got := func(name string) string { return ex.Reply.Fields.Get(name) }
		if got("X-A") != "new" || got("X-B") != "kept" || got("Content-Encoding") != "identity" || got("Set-Cookie") != "" || got("Age") != "19" {
			t.Errorf("fields: %v", ex.Reply.Fields)
		}
		r.called(2)
	})
}

// Who had an answer that changed meanwhile, or asked before it did, leaves nothing behind.
func TestChangeWhileAsked(t *testing.T) {
	r := newOwn(t)
	r.origin.answer = func(_ context.Context, ex *proxy.Exchange) error {
		r.memory.store(stageName{api: "x", stage: "s"}, defaultSize).epoch("b", "/a").Add(1)
		r.close = append(r.close, r.memory.stages[stageName{api: "x", stage: "s"}].release)
		answer(ex, 200, "old", "Cache-Control: max-age=60")
		return nil
	}
	r.want(200, "old", "GET /a")
	r.origin.answer = says("new", "Cache-Control: max-age=60")
	r.want(200, "new", "GET /a")
	r.want(200, "new", "GET /a")
	r.called(2)
}

func TestTargetOf(t *testing.T) {
	out := &proxy.Outgoing{Host: "b:80", Target: "/x/y?z"}
	f := func(url, target string, own bool) {
		t.Helper()
		if got, is := targetOf(url, out); got != target || is != own {
			t.Errorf("%s: got %q, %v, want %q, %v", url, got, is, target, own)
		}
	}
	f("/a?b#c", "/a?b", true)
	f("http://B:80/a", "/a", true)
	f("http://B:80", "/", true)
	f("//b:80?q", "/?q", true)
	f("other", "/x/other", true)
	f("./other", "/x/other", true)
	if _, own := targetOf("http://other/a", out); own {
		t.Error("another host's URL is taken for our own")
	}
}

func TestDirectives(t *testing.T) {
	f := func(value string, want directives) {
		t.Helper()
		want.some = true
		if got := parseDirectives(http1.Fields{http1.NewField("cache-control", value)}); got != want {
			t.Errorf("%s: got %+v, want %+v", value, got, want)
		}
	}
	age := func(n int) seconds { return seconds{time.Duration(n) * time.Second, true} }
	f("", directives{})
	f("max-age=60", directives{maxAge: age(60)})
	f(" Max-Age = 60 , PUBLIC", directives{public: true, maxAge: age(0)}) // a number has no space before it
	f(`max-age="60"`, directives{maxAge: age(60)})
	f(`x="no-store, max-age=1", s-maxage=5`, directives{sharedMaxAge: age(5)})
	f(`x="a\", private", no-cache="Set-Cookie"`, directives{noCache: true})
	f("max-age=1, max-age=100", directives{maxAge: age(1)})
	f("max-age=-1", directives{maxAge: age(0)})
	f("max-age=99999999999999999999", directives{maxAge: age(maxSeconds)})
	f("max-stale, min-fresh=3,only-if-cached,,", directives{maxStale: age(maxSeconds), minFresh: age(3), onlyIfCached: true})
	f(`x="unended, private`, directives{})
}

func FuzzDirectives(f *testing.F) {
	for _, s := range []string{"", "max-age=60", `a="b\"", private`, `="`, `x="\`, ",,=,"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, value, tags string) {
		d := parseDirectives(http1.Fields{http1.NewField("Cache-Control", value)})
		for _, s := range []seconds{d.maxAge, d.sharedMaxAge, d.minFresh, d.maxStale, d.staleIfError} {
			if s.n < 0 || s.n > maxSeconds*time.Second {
				t.Errorf("%q: %v", value, s.n)
			}
		}
		_ = matchesTag(tags, value)
		_, _ = parseDate(value)
		_, _ = targetOf(value, &proxy.Outgoing{Host: tags, Target: "/"})
	})
}

func TestMatchesTag(t *testing.T) {
	f := func(list, tag string, want bool) {
		t.Helper()
		if matchesTag(list, tag) != want {
			t.Errorf("%s, %s: want %v", list, tag, want)
		}
	}
	f(`"a"`, `"a"`, true)
	f(`W/"a"`, `"a"`, true)
	f(`"a"`, `W/"a"`, true)
	f(`"x", "a"`, `"a"`, true)
	f(`"x,a"`, `"a"`, false)
	f("*", `"a"`, true)
	f(`"a`, `"a"`, false)
	f("a", `"a"`, false)
	f("", `"a"`, false)
}

// No two requests that differ in a part of the key have the same key.
func FuzzKeys(f *testing.F) {
	f.Add("/a", "q=1", "x", "/a", "q=1&", "")
	f.Add("/a", "q=a&q=b", "", "/a", "q=a%26q=b", "")
	r := newRig(f, stageCacheOf(), config.Integration{})
	whole := &keys{target: true}
	f.Fuzz(func(t *testing.T, path1, query1, accept1, path2, query2, accept2 string) {
		k := *whole
		k.accept = true
		key := func(path, query, accept string) string {
			ex := r.fill(&proxy.Exchange{}, "GET "+path)
			ex.Path, ex.In.RawQuery, ex.In.HasQuery = path, query, true
			ex.In.Fields = append(ex.In.Fields, http1.NewField("Accept", accept))
			b, err := k.append(nil, ex, 0)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		same := slices.Equal([]string{path1, query1, accept1}, []string{path2, query2, accept2})
		if (key(path1, query1, accept1) == key(path2, query2, accept2)) != same {
			t.Errorf("%q %q %q and %q %q %q", path1, query1, accept1, path2, query2, accept2)
		}
	})
}

// HEAD is answered from what GET brought, while that is fresh; and what the backend says
// to HEAD of another answer has it forgotten. RFC 9111, 4 and 4.3.5.
func TestHead(t *testing.T) {
	head := func(status int, length int64, fields ...string) func(context.Context, *proxy.Exchange) error {
		return func(_ context.Context, ex *proxy.Exchange) error {
			answer(ex, status, "", fields...)
			ex.Back.Body, ex.Back.Length = nil, length
			return nil
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r := newOwn(t)
		r.origin.answer = head(200, 3)
		r.want(200, "", "HEAD /a") // of which nothing is kept
		r.origin.answer = says("one", "Cache-Control: max-age=10", `ETag: "1"`, "Vary: Accept")
		r.want(200, "one", "GET /a")
		r.called(2)
		ex := r.fill(&proxy.Exchange{}, "HEAD /a")
		if status, text := r.run(t.Context(), ex); status != 200 || text != "" || ex.Reply.Length != 3 || ex.Reply.Fields.Get("ETag") != `"1"` || ex.Reply.Fields.Get("Age") != "0" {
			t.Errorf("got %d %q, %+v", status, text, ex.Reply)
		}
		r.want(304, "", "HEAD /a", `If-None-Match: "1"`)
		r.want(200, "one", "GET /a") // nothing of it is lost
		r.called(2)
		// Another variant, an old one, or what the client wants anew.
		r.origin.answer = head(200, 3, `ETag: "1"`)
		r.want(200, "", "HEAD /a", "Accept: text/plain")
		r.want(200, "", "HEAD /a", "Cache-Control: no-cache")
		r.want(504, "", "HEAD /b", "Cache-Control: only-if-cached")
		r.called(4)
		r.want(200, "one", "GET /a") // it is the same still
		r.called(4)
		for i, other := range [][]string{{`ETag: "2"`}, {`ETag: "1"`, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"}, nil} {
			length := int64(3)
			if other == nil {
				length = 4
			}
			r.origin.answer = head(200, length, other...)
			r.want(200, "", "HEAD /a", "Cache-Control: no-cache")
			r.origin.answer = says("one", "Cache-Control: max-age=10", `ETag: "1"`, "Vary: Accept")
			r.want(200, "one", "GET /a")
			r.called(int64(6 + 2*i))
		}
		time.Sleep(11 * time.Second)
		r.origin.answer = head(404, 0)
		r.want(404, "", "HEAD /a")
		r.called(11)
	})
	// What may be used while it is asked about anew isn't asked about by HEAD.
	synctest.Test(t, func(t *testing.T) {
		r := newOwn(t)
		r.origin.answer = says("one", "Cache-Control: max-age=10, stale-while-revalidate=60")
		r.want(200, "one", "GET /a")
		time.Sleep(11 * time.Second)
		r.origin.answer = head(200, 3)
		r.want(200, "", "HEAD /a")
		synctest.Wait()
		r.called(2)
	})
}

// How long an answer is good that doesn't say it is guessed where the route says so.
// RFC 9111, 4.2.2.
func TestHeuristic(t *testing.T) {
	day := 24 * time.Hour
	f := func(share float64, request string, changed time.Duration, wait time.Duration, kept bool, status int, fields ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil, config.Integration{Cache: &config.IntegrationCache{Mode: mode9111, Heuristic: config.Rate(share)}})
			r.origin.answer = func(_ context.Context, ex *proxy.Exchange) error {
				answer(ex, status, "one", append(fields, "Last-Modified: "+time.Now().Add(-changed).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))...)
				return nil
			}
			r.do(request)
			time.Sleep(wait)
			r.do(request)
			want := int64(2)
			if kept {
				want = 1
			}
			if got := r.origin.calls.Load(); got != want {
				t.Errorf("%g of %v, %s %v after %v: asked %d times, want %d", share, changed, request, fields, wait, got, want)
			}
		})
	}
	f(0, "GET /a", 10*day, time.Second, false, 200)
	f(0.1, "GET /a", 10*time.Hour, 59*time.Minute, true, 200)
	f(0.1, "GET /a", 10*time.Hour, 61*time.Minute, false, 200)
	f(0.1, "GET /a", 1000*day, 23*time.Hour, true, 200)
	f(0.1, "GET /a", 1000*day, 25*time.Hour, false, 200) // no more than a day
	f(0.1, "GET /a", -time.Hour, time.Second, false, 200)
	f(0.1, "GET /a?x=y", 10*day, time.Second, false, 200)
	f(0.1, "GET /a", 10*day, time.Second, true, 404)
	f(0.1, "GET /a", 10*day, time.Second, false, 500)
	f(0.1, "GET /a", 10*day, time.Second, false, 200, "Cache-Control: max-age=0")
	f(0.1, "GET /a", 10*day, time.Second, false, 200, "Cache-Control: no-cache")
	f(0.1, "GET /a", 10*day, time.Second, false, 200, "Expires: 0")
	f(0.1, "GET /a", 10*day, time.Second, true, 200, "Cache-Control: stale-if-error=60")
}
