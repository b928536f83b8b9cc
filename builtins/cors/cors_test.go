package cors

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// exchange is an exchange about to be answered with fields.
func exchange(method string, in, out http1.Fields) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.Method, ex.In.Fields = method, in
	ex.Reply = proxy.Response{Status: 200, Fields: out}
	return ex
}

func newLast(t testing.TB, c *config.CORS) *last {
	steps, err := newSteps(proxy.Build{}, proxy.Options{CORS: c})
	if err != nil {
		t.Fatal(err)
	}
	return steps[proxy.MethodResponse].(*last)
}

func TestVaryIsAddedOnce(t *testing.T) {
	l := newLast(t, &config.CORS{AllowOrigins: []string{"https://a.example"}})
	f := func(vary, want string) {
		t.Helper()
		ex := exchange("GET", nil, http1.Fields{http1.NewField("Vary", vary)})
		for range 2 {
			if _, err := l.Run(context.Background(), ex); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for i := range ex.Reply.Fields {
			got = append(got, ex.Reply.Fields[i].Value)
		}
		if !slices.Equal(got, strings.Split(want, "|")) {
			t.Errorf("%q: %q, want %q", vary, got, want)
		}
	}
	f("Accept", "Accept|Origin")
	f("Accept, origin", "Accept, origin")
	f("*", "*")
}

func BenchmarkLast(b *testing.B) {
	l := newLast(b, &config.CORS{AllowOrigins: []string{"https://a.example", "https://b.example"}, AllowCredentials: true})
	in := http1.Fields{http1.NewField("Host", "x"), http1.NewField("Origin", "https://b.example")}
	ex := exchange("GET", in, make(http1.Fields, 0, 16))
	content := http1.NewField("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		ex.Reply.Fields = append(ex.Reply.Fields[:0], content)
		_, _ = l.Run(context.Background(), ex)
	}
}
