package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// asker sends requests on one kept connection.
type asker struct {
	t    testing.TB
	c    net.Conn
	read *bufio.Reader
}

func (g *gateway) asker() *asker {
	c := g.dial()
	return &asker{g.t, c, bufio.NewReader(c)}
}

// ask sends a request for target in pieces that end at cuts, and checks the reply.
func (a *asker) ask(method, target, content, want string, cuts ...int) {
	a.t.Helper()
	raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, target)
	if content != "" {
		raw = fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", method, target, len(content), content)
	}
	at := 0
	for _, cut := range append(cuts, len(raw)) {
		if cut = max(at, min(cut, len(raw))); cut > at {
			io.WriteString(a.c, raw[at:cut])
			if at = cut; at < len(raw) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	a.expect(want)
}

// expect checks one reply.
func (a *asker) expect(want string) {
	a.t.Helper()
	r, err := http.ReadResponse(a.read, nil)
	if err != nil {
		a.t.Fatalf("%v, want %q", err, want)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != want {
		a.t.Fatalf("got %q, %v, want %q", body, err, want)
	}
}

// echoed is what /echo answers.
func echoed(method, target, content string) string {
	return fmt.Sprintf("%s %s host=localhost proto=HTTP/1.1 trailers= body=%s", method, target, content)
}

// Whatever comes, in whatever pieces, with whatever pauses: each request gets its reply.
func TestQuickMix(t *testing.T) {
	g := start(t, "")
	g.release()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 11))
		a := g.asker()
		for i := range 300 {
			content := ""
			if r.IntN(8) == 0 {
				content = strings.Repeat("c", 1+r.IntN(9000))
			}
			var cuts []int
			if r.IntN(10) == 0 {
				cuts = append(cuts, r.IntN(80), 80)
			}
			switch target := fmt.Sprintf("/echo?%d", i); r.IntN(150) {
			case 0: // two at once
				one := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target)
				io.WriteString(a.c, one+one)
				a.expect(echoed("GET", "/echo", ""))
				a.expect(echoed("GET", "/echo", ""))
			case 1:
				a.ask("GET", "/big", "", strings.Repeat("0123456789", 100_000))
			case 2:
				time.Sleep(quickTrust + time.Millisecond)
			case 3: // a head that fills the read buffer to the byte, and more
				pad := strings.Repeat("x", 4096-len("GET /echo?")-len(" HTTP/1.1\r\nHost: localhost\r\n\r\n")+r.IntN(3)-1)
				a.ask("GET", "/echo?"+pad, "", echoed("GET", "/echo", ""))
			default:
				method := "GET"
				if content != "" {
					method = "POST"
				}
				a.ask(method, target, content, echoed(method, "/echo", content), cuts...)
			}
		}
		a.c.Close()
	}
}

// quickly has a's requests answered the quick way from now on.
func (a *asker) quickly() {
	for range 3 * quickFrom {
		a.ask("GET", "/echo", "", echoed("GET", "/echo", ""))
	}
}

// A client that ends its direction gets its last reply and the connection's end, unless
// it does so in the middle of many: then the end, too, as soon as it closes.
func TestQuickEnd(t *testing.T) {
	g := start(t, "")
	g.release()
	f := func(what string, before func(*asker)) {
		t.Helper()
		a := g.asker()
		before(a)
		io.WriteString(a.c, "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
		a.c.(*net.TCPConn).CloseWrite()
		a.expect(echoed("GET", "/echo", ""))
		if n, err := a.read.ReadByte(); err != io.EOF {
			t.Errorf("%s: %d, %v, want the end", what, n, err)
		}
	}
	f("at once", func(*asker) {})
	f("after a pause", func(a *asker) {
		a.quickly()
		time.Sleep(quickTrust + 10*time.Millisecond)
	})
	a := g.asker()
	a.quickly()
	a.c.(*net.TCPConn).CloseWrite() // by itself
	if n, err := a.read.ReadByte(); err != io.EOF {
		t.Errorf("%d, %v, want the end", n, err)
	}
}

// A drain ends connections that are answered the quick way, and so does a kill.
func TestQuickDrain(t *testing.T) {
	g := start(t, "")
	g.release()
	a, busy := g.asker(), g.asker()
	a.quickly()
	busy.quickly()
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		drained <- g.Drain(ctx)
	}()
	if n, err := a.read.ReadByte(); err != io.EOF { // it says nothing any more
		t.Errorf("%d, %v, want the end", n, err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	g = start(t, "")
	a = g.asker()
	a.quickly()
	io.WriteString(a.c, "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for g.Stats().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	g.release()
	g.Close() // returns when all have ended
}

// What an integration switches to without being asked ends the connection.
func TestQuickSwitch(t *testing.T) {
	g := start(t, "")
	g.release()
	a := g.asker()
	a.quickly()
	io.WriteString(a.c, "GET /upgrade HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if answer, err := io.ReadAll(a.read); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 101 ") {
		t.Errorf("%q, %v", answer, err)
	}
}
