package snapshot

import (
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// After the first request of a connection, asking whether its client may come in
// costs next to nothing.
func BenchmarkAdmit(b *testing.B) {
	clients := &Clients{}
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.In.TLS = &proxy.TLS{ServerName: "api.example"}
	ex.Domain.Name = "api.example"
	b.ReportAllocs()
	for b.Loop() {
		if f, ok := clients.admit(ex); !ok {
			b.Fatal(f)
		}
	}
}

func TestAdmitAllocations(t *testing.T) {
	clients := &Clients{}
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.In.TLS = &proxy.TLS{ServerName: "api.example"}
	ex.Domain.Name = "api.example"
	if n := testing.AllocsPerRun(100, func() { clients.admit(ex) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A judgement ends with the certificate, and with who made it.
func TestJudgement(t *testing.T) {
	session, now := &proxy.TLS{}, time.Now()
	made := 0
	judge := func(by any, at time.Time, until time.Time) {
		session.Judged(by, at, func() *proxy.Judgement { made++; return &proxy.Judgement{By: by, Until: until} })
	}
	a, b := &Clients{}, &Clients{Required: true}
	for _, step := range []struct {
		by   any
		at   time.Duration
		want int
	}{{a, 0, 1}, {a, time.Minute, 1}, {a, time.Minute + 1, 2}, {b, 0, 3}, {b, 0, 3}, {a, 0, 4}} {
		judge(step.by, now.Add(step.at), now.Add(time.Minute))
		if made != step.want {
			t.Errorf("after %v: judged %d times, want %d", step, made, step.want)
		}
	}
}
