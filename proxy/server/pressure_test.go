package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/overload"
	"github.com/postern-gateway/postern/proxy/pausetest"
)

// until waits for a claim to become true.
func until(t testing.TB, what string, claim func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !claim(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// At 92 % of the memory connections aren't kept, at 95 % requests are refused, and
// afterwards all is as before.
func TestMemoryPressure(t *testing.T) {
	var used atomic.Uint64
	var collected atomic.Int64
	m := overload.New(overload.Options{
		Memory:  func() []overload.Usage { return []overload.Usage{{Used: used.Load(), Limit: 1000}} },
		Collect: func() { collected.Add(1) },
	})
	defer m.Close()
	cert, key := selfSigned(t)
	g := startUnder(t, m, fmt.Sprintf("[listen.tls]\naddress = \"127.0.0.1:0\"\ntls = { certificates = [{ cert = %q, key = %q }] }", cert, key))
	transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	second := func() *http.Response {
		request, _ := http.NewRequest("GET", "https://"+g.Addrs()["tls"].String()+"/nothing", nil)
		request.Host = "localhost"
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		return response
	}
	f := func(share uint64, level overload.Level, want string, kept bool) {
		t.Helper()
		used.Store(share)
		until(t, level.String(), func() bool { return m.Level() == level })
		c := g.dial()
		r := bufio.NewReader(c)
		io.WriteString(c, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		got := fmt.Sprint(response.StatusCode, " ", response.Header.Get("Retry-After"))
		if got != want || response.Close == kept {
			t.Errorf("at %d: got %s, closing %t, want %s, kept %t", share, got, response.Close, want, kept)
		}
		if response := second(); fmt.Sprint(response.StatusCode, " ", response.Header.Get("Retry-After")) != want {
			t.Errorf("at %d: HTTP/2: got %d, want %s", share, response.StatusCode, want)
		}
	}
	f(900, overload.Calm, "204 ", true)
	f(930, overload.Strained, "204 ", false)
	f(960, overload.Shedding, "503 1", false)
	f(935, overload.Shedding, "503 1", false) // it doesn't flicker
	f(925, overload.Strained, "204 ", false)
	f(500, overload.Calm, "204 ", true)
	if n := g.Stats().Refused["memory"]; n != 4 {
		t.Errorf("%d requests refused, want 4", n)
	}
	if collected.Load() == 0 {
		t.Error("nobody looked for garbage first")
	}
}

// Near the limit of file descriptors new connections are shed without a busy
// loop, open ones are served, and room that comes free is used.
func TestFewFiles(t *testing.T) {
	var limit atomic.Uint64
	m := overload.New(overload.Options{Files: limit.Load, Memory: func() []overload.Usage { return nil }})
	defer m.Close()
	g := startUnder(t, m, "")
	kept := g.dial()
	if !alive(kept) {
		t.Fatal("no answer")
	}
	// From now on each descriptor is one too many.
	lowest, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer lowest.Close()
	limit.Store(uint64(lowest.Fd()))
	until(t, "the mark", func() bool { return m.FileMark() <= int(lowest.Fd()) })
	var shed int
	for range 5 {
		if c := g.dial(); !alive(c) {
			shed++
		}
	}
	if shed != 5 || g.Stats().Refused["files"] != 5 {
		t.Errorf("%d of 5 shed, %d counted", shed, g.Stats().Refused["files"])
	}
	if !alive(kept) {
		t.Error("the connection that was open before isn't served any more")
	}
	limit.Store(1 << 20)
	until(t, "room", func() bool { return alive(g.dial()) })
}

func TestInFlight(t *testing.T) {
	g := start(t, "limits = { in_flight = 2 }")
	for range 2 {
		io.WriteString(g.dial(), get("/hold"))
	}
	until(t, "two under way", func() bool { return g.Stats().InFlight == 2 })
	c := g.dial()
	io.WriteString(c, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" || response.Close {
		t.Errorf("got %v, %v, want 503 and a connection that is kept", response, err)
	}
	g.release()
	until(t, "none under way", func() bool { return g.Stats().InFlight == 0 })
	if !alive(g.dial()) {
		t.Error("no answer afterwards")
	}
}

func TestRequestTime(t *testing.T) {
	pausetest.Run(t, 50*time.Millisecond, func(t testing.TB) {
		cert, key := selfSigned(t)
		g := start(t, fmt.Sprintf("limits = { request_time = \"150ms\" }\n[listen.tls]\naddress = \"127.0.0.1:0\"\nlimits = { request_time = \"150ms\" }\ntls = { certificates = [{ cert = %q, key = %q }] }", cert, key))
		c := g.dial()
		for range 3 { // each request has its own time
			if !alive(c) {
				t.Fatal("a quick request fails")
			}
			time.Sleep(60 * time.Millisecond)
		}
		if !alive(c) {
			t.Error("waiting counts")
		}
		began := time.Now()
		if answer := g.talk(get("/wait")); answer != "" {
			t.Errorf("got %q", answer)
		}
		if took := time.Since(began); took < 140*time.Millisecond || took > 30*time.Second {
			t.Errorf("cut after %s, want 150ms", took)
		}
		transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer transport.CloseIdleConnections()
		request, _ := http.NewRequest("GET", "https://"+g.Addrs()["tls"].String()+"/wait", nil)
		request.Host = "localhost"
		began = time.Now()
		if response, err := transport.RoundTrip(request); err == nil {
			t.Errorf("HTTP/2: got %v", response)
		}
		if took := time.Since(began); took < 140*time.Millisecond || took > 30*time.Second {
			t.Errorf("HTTP/2: reset after %s, want 150ms", took)
		}
		// An upgraded connection is no request any more.
		tunnel := g.dial()
		io.WriteString(tunnel, "GET /upgrade HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		r := bufio.NewReader(tunnel)
		for line := ""; line != "\r\n"; line, _ = r.ReadString('\n') {
		}
		time.Sleep(200 * time.Millisecond)
		io.WriteString(tunnel, "still here\n")
		if line, err := r.ReadString('\n'); line != "still here\n" {
			t.Errorf("tunnel: got %q, %v", line, err)
		}
	})
}

func TestConnectionAge(t *testing.T) {
	pausetest.Run(t, 50*time.Millisecond, func(t testing.TB) {
		g := start(t, "limits = { connection_age = \"100ms\" }")
		c := g.dial()
		r := bufio.NewReader(c)
		ask := func() *http.Response {
			io.WriteString(c, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			return response
		}
		if ask().Close {
			t.Error("closed while young")
		}
		time.Sleep(120 * time.Millisecond)
		if !ask().Close {
			t.Error("kept while old")
		}
		// Ages are spread over a fifth.
		var life lifetime
		s := &settings{}
		s.ConnectionAge = 1000_000_000
		now := time.Now()
		for random, want := range map[uint64][2]time.Duration{0: {899, 900}, 255: {1098, 1100}} {
			life.begin(now, random)
			if life.over(s, now.Add(want[0]*time.Millisecond)) || !life.over(s, now.Add(want[1]*time.Millisecond)) {
				t.Errorf("random %d: not between %v ms", random, want)
			}
		}
	})
}

// slowly dials with little room for what comes back.
func (g *gateway) slowly() *net.TCPConn {
	c := g.dial().(*net.TCPConn)
	if err := c.SetReadBuffer(4 << 10); err != nil {
		g.t.Fatal(err)
	}
	return c
}

// Clients that send or read slowly are cut at their limits, and others don't
// notice.
func TestManySlowClients(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		g := start(t, `limits = { header_timeout = "400ms", body_timeout = "400ms", write_timeout = "400ms" }`)
		g.release()
		const each = 40
		var slow sync.WaitGroup
		began := time.Now()
		spawn := func(request string, drip string) {
			for range each {
				c := g.slowly()
				io.WriteString(c, request)
				slow.Go(func() {
					for drip != "" {
						time.Sleep(100 * time.Millisecond)
						if _, err := io.WriteString(c, drip); err != nil {
							return
						}
					}
				})
			}
		}
		spawn("GET /nothing HTTP/1.1\r\n", "X: y\r\n")                                                 // never ends its header
		spawn("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", "")            // stops in its content
		spawn("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n", "") // and in a chunk
		spawn("GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n", "")                                     // never reads
		spawn("GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n", "")
		var took []time.Duration
		c := g.dial()
		for len(took) == 0 || time.Since(began) < 600*time.Millisecond {
			at := time.Now()
			if !alive(c) {
				t.Fatal("somebody else isn't served")
			}
			took = append(took, time.Since(at))
			c.Close()
			c = g.dial()
		}
		until(t, "all slow clients are cut", func() bool { return g.Stats().Connections <= 1 })
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("cut after %s", d)
		}
		slow.Wait()
		slices.Sort(took)
		t.Logf("%d requests beside %d slow clients: median %s, p99 %s", len(took), 5*each, took[len(took)/2], took[len(took)*99/100])
		if p99 := took[len(took)*99/100]; p99 > 500*time.Millisecond {
			t.Errorf("p99 of the others: %s", p99)
		}
		c.Close()
		for kind, want := range map[proxy.FaultKind]int{proxy.RequestTimeout: 3 * each, proxy.ClientGone: 2 * each} {
			n := 0
			g.records.mu.Lock()
			for _, r := range g.records.all {
				if r.fault == kind {
					n++
				}
			}
			g.records.mu.Unlock()
			if n != want {
				t.Errorf("%d records of %v, want %d", n, kind, want)
			}
		}
	})
}

// A reader that is slow but not too slow gets large content, which takes longer
// than the time for a piece.
func TestSlowEnough(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		g := start(t, `limits = { write_timeout = "300ms" }`)
		for _, path := range []string{"/huge", "/flood"} {
			c := g.dial()
			io.WriteString(c, get(path))
			total, buf := 0, make([]byte, 4<<20)
			for {
				n, err := io.ReadFull(c, buf)
				total += n
				if err != nil {
					break
				}
				time.Sleep(50 * time.Millisecond) // 16 times
			}
			if total < flooded {
				t.Errorf("%s: %d bytes, want %d", path, total, flooded)
			}
		}
	})
}

func TestPace(t *testing.T) {
	var p pace
	f := func(n int64, d time.Duration, good bool) {
		t.Helper()
		if err := p.judge(n, d, 240); (err == nil) != good {
			t.Errorf("%d bytes in %s: %v", n, d, err)
		}
	}
	f(64<<10, time.Millisecond, true)
	f(1<<10, 9*time.Second, true)
	f(1<<10, time.Second, true) // 66 KiB in 10 s; the next ten seconds begin
	f(1<<10, 9*time.Second, true)
	f(1<<10, time.Second, false) // 2 KiB in 10 s
	if p.judge(0, time.Hour, 0) != nil {
		t.Error("0 doesn't switch it off")
	}
}

// A client of HTTP/2 that gives no room to send has its stream reset.
func TestStalledStream(t *testing.T) {
	cert, key := selfSigned(t)
	g := start(t, fmt.Sprintf("limits = { write_timeout = \"200ms\" }\ntls = { certificates = [{ cert = %q, key = %q }] }", cert, key))
	transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, path := range []string{"/huge", "/flood"} {
		request, _ := http.NewRequestWithContext(ctx, "GET", "https://"+g.Addrs()["public"].String()+path, nil)
		request.Host = "localhost"
		began := time.Now()
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the stream ends", func() bool { return g.Stats().InFlight == 0 }) // nobody read
		if took := time.Since(began); took < 190*time.Millisecond || took > 30*time.Second {
			t.Errorf("%s: ended after %s", path, took)
		}
		n, err := io.Copy(io.Discard, response.Body)
		if err == nil || n >= flooded {
			t.Errorf("%s: %d bytes and no reset", path, n)
		}
		response.Body.Close()
	}
}

// Content past the limit isn't read to its end, however it is announced.
func TestEndlessUpload(t *testing.T) {
	g := start(t, `limits = { body = "64KiB" }`)
	f := func(head string, piece string) {
		t.Helper()
		c := g.dial()
		io.WriteString(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\n"+head+"\r\n\r\n")
		answer := make(chan string)
		go func() {
			b, _ := io.ReadAll(c)
			answer <- string(b)
		}()
		sent := 0
		for sent < flooded {
			n, err := io.WriteString(c, piece)
			sent += n
			if err != nil {
				break
			}
		}
		if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.Contains(got, "Connection: close\r\n") {
			t.Errorf("%s: got %q", head, got)
		}
		if sent >= flooded {
			t.Errorf("%s: all of %d bytes were taken", head, sent)
		}
	}
	f("Transfer-Encoding: chunked", "4000\r\n"+strings.Repeat("x", 0x4000)+"\r\n")
	f("Content-Length: 10737418240", strings.Repeat("x", 0x4000))
	for i := range 2 {
		if r := g.records.wait(i); r.status != 413 || r.in > 64<<10+16<<10 {
			t.Errorf("recorded %+v", r)
		}
	}
}

// Over HTTP/2 only the stream ends: the connection carries the next request.
func TestEndlessStream(t *testing.T) {
	g := start(t, "h2c = true\nlimits = { body = \"64KiB\" }")
	client := knowing(t)
	url := "http://" + strings.Replace(g.addr(), "127.0.0.1", "localhost", 1)
	for i, length := range []int64{-1, 10 << 30} {
		sent := new(counting)
		request, err := http.NewRequest("POST", url+"/echo", sent)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = length
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if r := g.records.wait(i); response.StatusCode != 413 || r.status != 413 || r.in > 64<<10+connUpload {
			t.Errorf("length %d: got %d, recorded %+v", length, response.StatusCode, r)
		}
		until(t, "the client stops", func() bool {
			before := sent.n.Load()
			time.Sleep(20 * time.Millisecond)
			return sent.n.Load() == before
		})
		if n := sent.n.Load(); n > 64<<20 {
			t.Errorf("length %d: %d bytes were taken", length, n)
		}
	}
	response, err := client.Get(url + "/nothing")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if n := g.Stats().Connections; n != 1 {
		t.Errorf("%d connections, want the one", n)
	}
}

// counting is content without an end.
type counting struct{ n atomic.Int64 }

func (c *counting) Read(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func TestReusePort(t *testing.T) {
	first := start(t, "reuse_port = true")
	address := first.Addrs()["public"].String()
	text := strings.Replace(fmt.Sprintf(plain, "reuse_port = true"), "127.0.0.1:0", address, 1)
	second := &gateway{t: t, gate: make(chan struct{}), records: new(records)}
	second.Server = New(Options{Recorder: second.records})
	defer second.Close()
	second.apply(text)
	until(t, "both get connections", func() bool {
		if !alive(first.dial()) {
			t.Fatal("no answer")
		}
		first.records.mu.Lock()
		a := len(first.records.all)
		first.records.mu.Unlock()
		second.records.mu.Lock()
		b := len(second.records.all)
		second.records.mu.Unlock()
		return a > 0 && b > 0
	})
}
