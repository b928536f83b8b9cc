package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

const (
	traceHex  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentHex = "00f067aa0ba902b7"
)

func traced(s *Sampling, fields ...string) *Exchange {
	ex := new(Exchange)
	ex.Begin(time.Unix(0x5759e988, 0), nil)
	for i := 0; i < len(fields); i += 2 {
		ex.In.Fields.Add(fields[i], fields[i+1])
	}
	ex.joinTrace(s)
	return ex
}

// What a client's traceparent says goes on, unless it isn't one. W3C Trace Context.
func TestTraceparent(t *testing.T) {
	f := func(header string, joined, sampled bool) {
		t.Helper()
		ex := traced(&Sampling{}, "Traceparent", header, "tracestate", "a=b")
		out := ex.AppendTrace(http1.Fields{http1.NewField("traceparent", "old"), http1.NewField("TraceState", "old"), http1.NewField("x", "y")})
		parent := out.Get("traceparent")
		if got := strings.HasPrefix(parent, "00-"+traceHex+"-"); got != joined || len(parent) != 55 || strings.Contains(parent, parentHex) {
			t.Errorf("%q: sent %q", header, parent)
		}
		if got := strings.HasSuffix(parent, "-01"); got != sampled || ex.Trace.Sampled != sampled {
			t.Errorf("%q: sampled %v", header, got)
		}
		if got := out.Get("tracestate") == "a=b"; got != joined || out.Get("x") != "y" || len(out) > 3 {
			t.Errorf("%q: fields %v", header, out)
		}
	}
	f("00-"+traceHex+"-"+parentHex+"-01", true, true)
	f("00-"+traceHex+"-"+parentHex+"-00", true, false)
	f("00-"+traceHex+"-"+parentHex+"-03", true, true)
	f("01-"+traceHex+"-"+parentHex+"-01-more", true, true)
	f("00-"+traceHex+"-"+parentHex+"-01-more", false, false)
	f("01-"+traceHex+"-"+parentHex+"-01more", false, false)
	f("ff-"+traceHex+"-"+parentHex+"-01", false, false)
	f("00-"+strings.ToUpper(traceHex)+"-"+parentHex+"-01", false, false)
	f("00-"+strings.Repeat("0", 32)+"-"+parentHex+"-01", false, false)
	f("00-"+traceHex+"-"+strings.Repeat("0", 16)+"-01", false, false)
	f("00-"+traceHex+"-"+parentHex+"-0g", false, false)
	f("00_"+traceHex+"-"+parentHex+"-01", false, false)
	f("", false, false)
	// Two of them are none.
	ex := traced(&Sampling{}, "traceparent", "00-"+traceHex+"-"+parentHex+"-01", "traceparent", "00-"+traceHex+"-"+parentHex+"-01")
	if ex.Trace.Parent != [8]byte{} || ex.Trace.Sampled {
		t.Errorf("two: %+v", ex.Trace)
	}
}

// The two ways to name a trace agree.
func TestTraceForms(t *testing.T) {
	const root = "1-4bf92f35-77b34da6a3ce929d0e0e4736"
	// AWS's form becomes W3C's.
	ex := traced(&Sampling{}, "X-Amzn-Trace-Id", "Self=1-1-2;Root="+root+";Parent="+parentHex+";Sampled=1")
	if out := ex.AppendTrace(nil).Get("traceparent"); !strings.HasPrefix(out, "00-"+traceHex+"-") || !strings.HasSuffix(out, "-01") || ex.Trace.Parent == [8]byte{} {
		t.Errorf("traceparent %q", out)
	}
	if got := ex.TraceID(); !strings.HasPrefix(got, "Root="+root+";Parent=") || !strings.HasSuffix(got, ";Sampled=1") || strings.Contains(got, parentHex) {
		t.Error(got)
	}
	if ex.TraceRoot() != root {
		t.Error(ex.TraceRoot())
	}
	// W3C's becomes AWS's, with the same parent.
	ex = traced(&Sampling{}, "traceparent", "00-"+traceHex+"-"+parentHex+"-00")
	parent := ex.AppendTrace(nil).Get("traceparent")[36:52]
	if got := ex.TraceID(); got != "Root="+root+";Parent="+parent+";Sampled=0" {
		t.Error(got)
	}
	// A new one begins with the time.
	if got := traced(&Sampling{}).TraceID(); !strings.HasPrefix(got, "Root=1-5759e988-") {
		t.Error(got)
	}
	// Without a trace, what the client says of one is left alone.
	plain := new(Exchange)
	fields := http1.Fields{http1.NewField("traceparent", "x")}
	if got := plain.AppendTrace(fields); len(got) != 1 || got[0].Value != "x" {
		t.Errorf("%v", got)
	}
}

func TestSampling(t *testing.T) {
	share := func(s *Sampling, fields ...string) (n int) {
		for range 100_000 {
			if traced(s, fields...).Trace.Sampled {
				n++
			}
		}
		return n
	}
	// Three sigma around 1,000 of 100,000.
	if n := share(&Sampling{Below: Ratio(0.01)}); n < 905 || n > 1095 {
		t.Errorf("1 %%: %d", n)
	}
	yes, no := "00-"+traceHex+"-"+parentHex+"-01", "00-"+traceHex+"-"+parentHex+"-00"
	if n := share(&Sampling{}); n != 0 {
		t.Errorf("0 %%: %d", n)
	}
	if n := share(&Sampling{Below: Ratio(1)}); n != 100_000 {
		t.Errorf("100 %%: %d", n)
	}
	if n := share(&Sampling{Below: Ratio(1)}, "traceparent", no); n != 0 {
		t.Errorf("the parent's no: %d", n)
	}
	// Clients whose word doesn't count don't choose by an id, either.
	for _, follow := range []Follow{FollowNobody, FollowTrusted} {
		if n := share(&Sampling{Below: Ratio(0.01), Follow: follow}, "traceparent", yes); n < 905 || n > 1095 {
			t.Errorf("ignored parent: %d", n)
		}
	}
	if n := share(&Sampling{Below: Ratio(0.01)}, "X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?"); n < 905 || n > 1095 {
		t.Errorf("undecided: %d", n)
	}
}

func BenchmarkJoinTrace(b *testing.B) {
	s := &Sampling{Below: Ratio(0.01)}
	ex := new(Exchange)
	fields := make(http1.Fields, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		ex.Begin(time.Time{}, nil)
		ex.joinTrace(s)
		fields = ex.AppendTrace(fields[:0])
		_ = ex.TraceID()
	}
}
