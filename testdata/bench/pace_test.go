package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// against makes a proxy of a test server.
func against(t *testing.T, f http.HandlerFunc) *proxy {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return &proxy{name: postern, place: &place{site: &site{}, plain: n}}
}

func TestPacedKeepsItsRate(t *testing.T) {
	var served atomic.Int64
	p := against(t, func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = w.Write(content(100)) // the client checks
	})
	s := &scenario{method: "GET", path: "/", want: content(100), rate: 500}
	l, err := paced(t.Context(), s, p, 4, time.Second)
	if err != nil || l.failures != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	if l.requests != 500 || served.Load() != 500 {
		t.Errorf("%d requests, %d served, want 500 of both", l.requests, served.Load())
	}
	if l.length < 990*time.Millisecond {
		t.Errorf("500 requests at 500/s took %v", l.length)
	}
}

// A server that stops for a while makes all requests late that were due in that
// time, not just the one it stopped at.
func TestPacedCountsWaiting(t *testing.T) {
	var served atomic.Int64
	const stall = 300 * time.Millisecond
	p := against(t, func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) == 50 {
			time.Sleep(stall)
		}
		_, _ = w.Write([]byte("x")) // the client checks
	})
	s := &scenario{method: "GET", path: "/", want: []byte("x"), rate: 200}
	l, err := paced(t.Context(), s, p, 1, time.Second)
	if err != nil || l.requests != 200 {
		t.Fatalf("%+v, %v", l, err)
	}
	// 60 of 200 requests were due while it stood still.
	if l.p99 < stall/2 {
		t.Errorf("p99 is %v, want most of %v", l.p99, stall)
	}
}

func TestPacedCountsFailures(t *testing.T) {
	var served atomic.Int64
	p := against(t, func(w http.ResponseWriter, _ *http.Request) {
		switch served.Add(1) % 10 {
		case 0:
			w.WriteHeader(http.StatusBadGateway)
		case 5:
			panic(http.ErrAbortHandler) // the connection breaks
		default:
			_, _ = w.Write([]byte("x")) // the client checks
		}
	})
	s := &scenario{method: "GET", path: "/", want: []byte("x"), rate: 100}
	l, err := paced(t.Context(), s, p, 2, time.Second)
	if err != nil || l.requests != 80 || l.failures != 20 || l.detail == "" {
		t.Errorf("got %+v, %v, want 80 answers and 20 failures", l, err)
	}
}

func TestVerify(t *testing.T) {
	p := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(r.Header.Get("X-One"))) // the client checks
	})
	f := func(path, want string, ok bool) {
		t.Helper()
		s := &scenario{method: "GET", path: path, want: []byte(want), header: map[string]string{"X-One": "1"}}
		if err := verify(t.Context(), s, p); (err == nil) != ok {
			t.Errorf("%s, %q: %v", path, want, err)
		}
	}
	f("/", "1", true)
	f("/", "2", false)     // other content of the same length
	f("/none", "1", false) // right content, wrong status
}
