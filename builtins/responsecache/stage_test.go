package responsecache

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Whoever asks for the same while the backend is asked gets its answer.
func TestOneCallForAll(t *testing.T) {
	for name, r := range map[string]*rig{
		"stage":   newRig(t, stageCacheOf(), config.Integration{}),
		"rfc9111": newRig(t, nil, config.Integration{Cache: &config.IntegrationCache{Mode: mode9111}}),
	} {
		const all = 1000
		var begun, done sync.WaitGroup
		begun.Add(all)
		r.origin.answer = func(_ context.Context, ex *proxy.Exchange) error {
			begun.Wait()
			answer(ex, 200, "one", "Cache-Control: max-age=60")
			return nil
		}
		var wrong [all]string
		for i := range all {
			done.Go(func() {
				ex := r.fill(&proxy.Exchange{}, "GET /a")
				begun.Done()
				if status, text := r.run(t.Context(), ex); status != 200 || text != "one" {
					wrong[i] = strconv.Itoa(status) + text
				}
			})
		}
		done.Wait()
		if got := strings.Join(wrong[:], ""); got != "" {
			t.Errorf("%s: %s", name, got)
		}
		if got := r.origin.calls.Load(); got != 1 {
			t.Errorf("%s: %d calls, want 1", name, got)
		}
	}
}

// waiting runs n requests, of which all but the first wait for it, and returns their answers.
func waiting(r *rig, n int, answer func(ctx context.Context, ex *proxy.Exchange) error) []int {
	release := make(chan struct{})
	r.origin.answer = func(ctx context.Context, ex *proxy.Exchange) error {
		<-release
		return answer(ctx, ex)
	}
	statuses := make([]int, n)
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() { statuses[i], _ = r.run(context.Background(), r.fill(&proxy.Exchange{}, "GET /a")) })
	}
	synctest.Wait()
	close(release)
	done.Wait()
	return statuses
}

// The gateway's own fault isn't kept, but those who waited have it, too. What a backend
// answers and isn't kept is asked for by each.
func TestFailuresAreNotKept(t *testing.T) {
	f := func(want int, calls int64, answers func(ctx context.Context, ex *proxy.Exchange) error) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, stageCacheOf(), config.Integration{})
			for i, got := range waiting(r, 10, answers) {
				if got != want {
					t.Errorf("request %d: %d, want %d", i, got, want)
				}
			}
			r.called(calls)
			r.origin.answer = says("fine")
			r.want(200, "fine", "GET /a")
		})
	}
	f(502, 1, func(context.Context, *proxy.Exchange) error {
		return proxy.Fault{Kind: proxy.IntegrationFailure, Cause: errors.New("refused")}
	})
	f(503, 10, func(_ context.Context, ex *proxy.Exchange) error {
		answer(ex, 503, "busy")
		return nil
	})
	// Broken off before its end: nobody gets half of it.
	f(502, 1, func(_ context.Context, ex *proxy.Exchange) error {
		answer(ex, 200, "")
		ex.Back.Body = body{brokenReader{}}
		return nil
	})
	// A mistake of ours.
	f(500, 1, func(context.Context, *proxy.Exchange) error { panic("oops") })
}

type brokenReader struct{}

func (brokenReader) Read(p []byte) (int, error) { return copy(p, "half"), errors.New("broken off") }

// Who waits gives up waiting in time, and asks for itself; a client that leaves lets
// somebody else ask for all.
func TestWaitersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, stageCacheOf(), config.Integration{})
		hung := make(chan struct{})
		r.origin.answer = func(ctx context.Context, ex *proxy.Exchange) error {
			if r.origin.calls.Load() == 1 {
				<-hung
			}
			answer(ex, 200, "late")
			return nil
		}
		go r.run(context.Background(), r.fill(&proxy.Exchange{}, "GET /a"))
		synctest.Wait()
		begin := time.Now()
		r.want(200, "late", "GET /a")
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("waited %v, want 5s", took)
		}
		close(hung)
		synctest.Wait()
		r.called(2)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, stageCacheOf(), config.Integration{})
		ctx, leave := context.WithCancel(t.Context())
		r.origin.answer = func(ctx context.Context, ex *proxy.Exchange) error {
			if r.origin.calls.Load() == 1 {
				<-ctx.Done()
				return proxy.Fault{Kind: proxy.ClientGone}
			}
			answer(ex, 200, "fine")
			return nil
		}
		go r.run(ctx, r.fill(&proxy.Exchange{}, "GET /a"))
		synctest.Wait()
		statuses := make(chan int, 5)
		for range cap(statuses) {
			go func() {
				status, _ := r.run(context.Background(), r.fill(&proxy.Exchange{}, "GET /a"))
				statuses <- status
			}()
		}
		synctest.Wait()
		leave()
		for range cap(statuses) {
			if got := <-statuses; got != 200 {
				t.Errorf("got %d", got)
			}
		}
		r.called(2)
	})
}

// An answer is kept for the stage's TTL, and no longer after a flush.
func TestUntilWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, stageCacheOf(), config.Integration{})
		r.origin.answer = says("one")
		r.want(200, "one", "GET /a")
		r.origin.answer = says("two")
		time.Sleep(time.Minute - 1)
		r.want(200, "one", "GET /a")
		time.Sleep(1)
		r.want(200, "two", "GET /a")
		r.origin.answer = says("three")
		r.memory.Flush("x", "t")
		r.memory.Flush("y", "")
		r.want(200, "two", "GET /a")
		r.memory.Flush("x", "s")
		r.want(200, "three", "GET /a")
		r.origin.answer = says("four")
		r.memory.Flush("x", "")
		r.want(200, "four", "GET /a")

		// What was asked for before a flush isn't kept after it.
		r.memory.Flush("x", "s")
		r.origin.answer = func(_ context.Context, ex *proxy.Exchange) error {
			r.memory.Flush("x", "s")
			answer(ex, 200, "old")
			return nil
		}
		r.want(200, "old", "GET /a")
		r.origin.answer = says("new")
		r.want(200, "new", "GET /a")
	})
}

// Another definition or other variables of a stage have answers of their own; the same ones
// go on with what there is.
func TestOverReloads(t *testing.T) {
	r := newRig(t, stageCacheOf(), config.Integration{})
	r.origin.answer = says("one")
	r.want(200, "one", "GET /a")
	r.origin.answer = says("two")
	again := func() {
		t.Helper()
		old := r.close
		r.close, r.shared = nil, map[any]any{}
		r.build()
		for _, f := range old {
			f()
		}
	}
	again()
	r.want(200, "one", "GET /a")
	r.route.Stage = &proxy.Stage{API: r.route.Stage.API, Name: "s", Variables: map[string]string{"color": "blue"}}
	again()
	r.want(200, "two", "GET /a")
	r.origin.answer = says("three")
	r.route.Stage = &proxy.Stage{API: r.route.Stage.API, Name: "s", Deployment: "2"}
	again()
	r.want(200, "three", "GET /a")
}

// What is too long for the cache passes as it came, to its last byte.
func TestLongAnswersPass(t *testing.T) {
	r := newRig(t, stageCacheOf(), config.Integration{})
	for _, size := range []int{64 << 10, 64<<10 + 1, 1 << 20} {
		long := strings.Repeat("x", size)
		before := r.origin.calls.Load()
		request := "GET /a?" + strconv.Itoa(size)
		r.origin.answer = says(long)
		r.want(200, long, request)
		r.want(200, long, request)
		if kept := r.origin.calls.Load() == before+1; kept != (size <= 64<<10) {
			t.Errorf("%d bytes: kept is %v", size, kept)
		}
	}
}

// Encrypted entries hold nothing that can be read.
func TestEncrypted(t *testing.T) {
	cache := stageCacheOf()
	cache.Encrypted = true
	r := newRig(t, cache, config.Integration{})
	r.origin.answer = says("a secret", "X-Secret: another")
	for range 3 {
		r.want(200, "a secret", "GET /a")
	}
	r.called(1)
	e := newEntry(200, nil, []byte("a secret"))
	e.seal(r.memory)
	if strings.Contains(string(e.sealed), "secret") || e.content != nil || e.fields != nil {
		t.Errorf("sealed: %q, %q, %v", e.sealed, e.content, e.fields)
	}
	e.sealed[len(e.sealed)-1]++
	if _, _, ok := e.open(r.memory, nil); ok {
		t.Error("what isn't what was sealed is opened")
	}
}

// Readers, writers, invalidation, flushes and reloads at the same time: every answer is one
// that belongs to its request.
func TestCacheHammer(t *testing.T) {
	cache := stageCacheOf()
	cache.RequireAuthorization = false
	cache.Size = 1 << 20
	r := newRig(t, cache, config.Integration{})
	r.origin.answer = func(_ context.Context, ex *proxy.Exchange) error {
		answer(ex, 200, ex.In.RawQuery+strings.Repeat(".", 500), "Vary: X-V")
		return nil
	}
	var done sync.WaitGroup
	for g := range 8 {
		done.Go(func() {
			ex := &proxy.Exchange{}
			for i := range 500 {
				query := strconv.Itoa((i * (g + 1)) % 50)
				var fields []string
				if i%17 == 0 {
					fields = append(fields, "Cache-Control: max-age=0")
				}
				if i%5 == 0 {
					fields = append(fields, "X-V: "+strconv.Itoa(i%3))
				}
				_, text := r.run(context.Background(), r.fill(ex, "GET /a?"+query, fields...))
				if strings.TrimRight(text, ".") != query {
					t.Errorf("%s answers %s", text, query)
				}
				if i%100 == 0 {
					r.memory.Flush("x", "s")
					_ = r.memory.Caches()
				}
			}
		})
	}
	done.Wait()
}

// hit returns what answers one request from the cache.
func hit(t testing.TB, r *rig) func() {
	r.origin.answer = says(strings.Repeat("x", 1024), "Content-Type: text/plain", `ETag: "1"`, "Cache-Control: max-age=600")
	ex := &proxy.Exchange{}
	ctx := context.Background()
	made := *r.fill(&proxy.Exchange{}, "GET /a?q=1", "User-Agent: x", "Accept: */*")
	round := func() {
		ex.Begin(made.Start, nil)
		ex.ID, ex.Route, ex.Stage, ex.Method, ex.Path = made.ID, made.Route, made.Stage, made.Method, made.Path
		fields := append(ex.In.Fields[:0], made.In.Fields...)
		ex.In = made.In
		ex.In.Fields = fields
		ex.Route.Pipeline.Run(ctx, ex, 1<<20)
		if ex.Reply.Status != 200 || len(ex.Reply.Content) != 1024 {
			t.Fatalf("%d, %d bytes", ex.Reply.Status, len(ex.Reply.Content))
		}
		ex.End()
	}
	round()
	round()
	return round
}

func TestHitsNeedNoMemory(t *testing.T) {
	if raced {
		t.Skip("the race detector has pools forget")
	}
	for name, r := range map[string]*rig{
		"stage":   newRig(t, stageCacheOf(), config.Integration{}),
		"keys":    newRig(t, stageCacheOf(), config.Integration{CacheKeyParameters: []string{"method.request.querystring.q", "method.request.header.Accept"}}),
		"rfc9111": newRig(t, nil, config.Integration{Cache: &config.IntegrationCache{Mode: mode9111}}),
	} {
		round := hit(t, r)
		if n := testing.AllocsPerRun(500, round); n >= 1 {
			t.Errorf("%s: %v allocations a hit", name, n)
		}
		r.called(1)
	}
}

func BenchmarkHit(b *testing.B) {
	for name, in := range map[string]config.Integration{
		"stage":   {},
		"keys":    {CacheKeyParameters: []string{"method.request.querystring.q", "method.request.header.Accept"}},
		"rfc9111": {Cache: &config.IntegrationCache{Mode: mode9111}},
	} {
		b.Run(name, func(b *testing.B) {
			cache := stageCacheOf()
			if in.Cache != nil {
				cache = nil
			}
			round := hit(b, newRig(b, cache, in))
			b.ReportAllocs()
			for b.Loop() {
				round()
			}
		})
	}
}
