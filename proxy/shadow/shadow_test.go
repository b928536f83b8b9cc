package shadow

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/pausetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answering is a step that answers with what it has.
type answering struct {
	status int
	fields http1.Fields
	body   string
	wait   chan struct{} // nil: at once
	stream bool
	seen   func(ex *proxy.Exchange)
}

func (a *answering) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if a.wait != nil {
		select {
		case <-a.wait:
		case <-ctx.Done():
			return proxy.Continue, proxy.Fault{Kind: proxy.IntegrationTimeout}
		}
	}
	if a.seen != nil {
		a.seen(ex)
	}
	ex.Reply.Status = a.status
	ex.Reply.Fields = append(ex.Reply.Fields, a.fields...)
	if a.stream {
		ex.Reply.Body, ex.Reply.Length = &streamed{strings.NewReader(a.body)}, http1.Unknown
	} else {
		ex.Reply.Content = []byte(a.body)
	}
	return proxy.Continue, nil
}

type streamed struct{ io.Reader }

func (*streamed) Trailers() http1.Fields { return nil }

type discard struct{}

func (discard) Record(*proxy.Exchange) {}

// target is a stage with one route.
type target struct {
	route *proxy.Route
	gone  bool
}

func newTarget(a *answering) *target {
	st := &proxy.Stage{API: &proxy.API{}, Recorder: discard{}}
	return &target{route: &proxy.Route{Stage: st, Pipeline: proxy.NewPipeline(proxy.Steps{proxy.Integration: a})}}
}

func (s *target) Hold() bool { return !s.gone }
func (s *target) Release()   {}
func (s *target) Enter(ex *proxy.Exchange) (proxy.Fault, bool) {
	ex.Route, ex.Stage = s.route, s.route.Stage
	return proxy.Fault{}, true
}

// settings are the defaults, for one stage.
func settings() *config.Shadow {
	return &config.Shadow{
		Percent: 100, Methods: []string{"GET", "POST"}, MaxBody: 1024, MaxAnswer: 1024, MaxConcurrent: 10, Timeout: config.Duration(5 * time.Second), Keep: 3,
	}
}

// serve has an original answered by a, with a copy for to.
func serve(t testing.TB, m proxy.Mirror, a *answering, to proxy.Shadow) {
	t.Helper()
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.ID, ex.Method, ex.Path = "id", "GET", "/pets"
	ex.In.Method, ex.In.Path = "GET", "/prod/pets"
	ex.In.Fields.Add("X-A", "1")
	own := newTarget(a).route
	own.Last = m.Watch(nil)
	ex.Route, ex.Stage = own, own.Stage
	m.Begin(ex, to)
	own.Pipeline.Run(t.Context(), ex, 1024)
	if ex.Reply.Body != nil {
		if _, err := io.Copy(io.Discard, ex.Reply.Body); err != nil {
			t.Fatal(err)
		}
	}
	ex.End()
	clear(ex.In.Fields) // as the server uses its memory again
}

func compared(t *testing.T, c *config.Shadow, a, b *answering) Report {
	t.Helper()
	s := NewSet()
	serve(t, s.Mirror("pets", "prod", c), a, newTarget(b))
	s.copies.Wait()
	defer s.Close()
	return s.Reports()[0]
}

func TestCompare(t *testing.T) {
	json := http1.Fields{{Name: "Content-Type", Value: "application/json"}, {Name: "Date", Value: "now"}}
	f := func(c *config.Shadow, a, b answering, headers, body []string) {
		t.Helper()
		for _, stream := range []bool{false, true} {
			a.stream, b.stream = stream, !stream
			r := compared(t, c, &a, &b)
			if a.status == b.status && headers == nil && body == nil {
				if r.Counts != (Counts{Same: 1}) {
					t.Errorf("streams %v: %+v", stream, r)
				}
				continue
			}
			if r.Counts != (Counts{Different: 1}) || len(r.Differences) != 1 {
				t.Errorf("streams %v: %+v", stream, r)
				continue
			}
			d := r.Differences[0]
			if d.Status != [2]int{a.status, b.status} || !slices.Equal(d.Headers, headers) || !slices.Equal(d.Body, body) || d.RequestID != "id" || d.Method != "GET" || d.Path != "/prod/pets" {
				t.Errorf("streams %v: %+v", stream, d)
			}
		}
	}
	c := settings()
	f(c, answering{status: 200, body: "a"}, answering{status: 200, body: "a"}, nil, nil)
	f(c, answering{status: 200, body: "abc"}, answering{status: 500, body: "abd"}, nil, []string{"byte 2"})
	f(c, answering{status: 200, body: "abc"}, answering{status: 200, body: "abcd"}, nil, []string{"byte 3"})
	f(c, answering{status: 200, fields: json}, answering{status: 200, fields: http1.Fields{{Name: "content-type", Value: "application/json"}, {Name: "Date", Value: "then"}, {Name: "X-New", Value: "1"}}}, []string{"x-new"}, nil)
	// JSON is compared by value: spaces and the order of members don't count.
	f(c, answering{status: 200, body: `{"a":1,"b":[1,2]}`}, answering{status: 200, body: `{ "b": [1, 2], "a": 1 }`}, nil, nil)
	f(c, answering{status: 200, body: `{"a":1,"b":[1,{"c":null}],"d e":0}`}, answering{status: 200, body: `{"a":"1","b":[1,{}],"d e":1,"f":null}`}, nil,
		[]string{"$.a", "$.b[1].c", `$["d e"]`, "$.f"})
	c.Ignore, c.IgnoreHeaders = []string{"$.time", "$.pets[*].id", "$.*.etag"}, []string{"X-Served-By"}
	f(c, answering{status: 200, body: `{"time":1,"pets":[{"id":1},{"id":2}],"x":{"etag":"1"}}`, fields: http1.Fields{{Name: "X-Served-By", Value: "a"}}},
		answering{status: 200, body: `{"time":{"s":2},"pets":[{"id":3},{"id":4}],"x":{"etag":"2"}}`}, nil, nil)
	f(c, answering{status: 200, body: `{"pets":[{"id":1,"n":1}]}`}, answering{status: 200, body: `{"pets":[{"id":3,"n":2},{"id":4}]}`}, nil, []string{"$.pets[0].n", "$.pets[1]"})
	// Content that is too long for both isn't compared.
	f(settings(), answering{status: 200, body: strings.Repeat("x", 2000)}, answering{status: 200, body: strings.Repeat("y", 2000)}, nil, nil)
}

// The copy has what the client sent, in memory of its own.
func TestCopy(t *testing.T) {
	got := ""
	compared(t, settings(), &answering{status: 200}, &answering{status: 200, seen: func(ex *proxy.Exchange) {
		got = fmt.Sprint(ex.Method, ex.Path, ex.In.Fields.Get("X-A"), ex.ID)
	}})
	if want := fmt.Sprint("GET", "/pets", "1", "id"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A shadow that hangs costs its copies, bounded in number and time, and nothing else.
func TestHangingShadow(t *testing.T) {
	pausetest.Run(t, 20*time.Millisecond, func(t testing.TB) {
		c := settings()
		c.MaxConcurrent, c.Timeout = 2, config.Duration(200*time.Millisecond)
		s := NewSet()
		m := s.Mirror("pets", "prod", c)
		hanging := newTarget(&answering{status: 200, wait: make(chan struct{})})
		began := time.Now()
		for range 10 {
			serve(t, m, &answering{status: 200}, hanging)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("ten requests took %v", took)
		}
		s.copies.Wait()
		r := s.Reports()[0]
		if r.Counts.Dropped < 1 || r.Counts.Different+r.Counts.Dropped != 10 {
			t.Errorf("%+v", r.Counts)
		}
		s.Close()
		serve(t, m, &answering{status: 200}, hanging)
		if got := s.Reports()[0].Counts.Dropped; got != r.Counts.Dropped+1 {
			t.Errorf("after the end %d were dropped, want %d", got, r.Counts.Dropped+1)
		}
	})
}

// The latest differences are kept, newest first, whatever becomes of their number.
func TestRing(t *testing.T) {
	s := NewSet()
	defer s.Close()
	_ = s.Mirror("pets", "prod", settings())
	r := s.records[Name{"pets", "prod"}]
	f := func(want ...string) {
		t.Helper()
		var got []string
		for _, d := range s.Reports()[0].Differences {
			got = append(got, d.RequestID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f()
	for _, id := range []string{"1", "2", "3", "4"} {
		r.keep(Difference{Time: time.Unix(1, 0), RequestID: id})
	}
	f("4", "3", "2")
	r.size(5)
	f("4", "3", "2")
	r.keep(Difference{Time: time.Unix(1, 0), RequestID: "5"})
	f("5", "4", "3", "2")
	r.size(2)
	f("5", "4")
	s.Keep(&config.Config{})
	if got := s.Reports(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
