package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"os"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// owner takes connections over: it interrupts itself between all that it reads, and
// sends that back.
type owner struct{ left, ended chan struct{} }

func (o *owner) Serve(_ context.Context, l proxy.Link) {
	defer close(o.ended)
	for {
		for range 2 {
			l.Interrupt()
			if _, err := l.Next(time.Now().Add(time.Minute)); !errors.Is(err, os.ErrDeadlineExceeded) {
				fmt.Println("not interrupted:", err)
				return
			}
		}
		go func() { // while it waits
			time.Sleep(time.Millisecond)
			l.Interrupt()
		}()
		b, err := l.Next(time.Now().Add(time.Minute))
		for errors.Is(err, os.ErrDeadlineExceeded) {
			b, err = l.Next(time.Now().Add(time.Minute))
		}
		if err != nil {
			return
		}
		if l.Write(b) != nil {
			return
		}
	}
}

func (o *owner) Leave() { close(o.left) }
func (o *owner) Cut()   {}
func (o *owner) Renew() {}

// Who takes a connection over reads all of it, however often it is interrupted; it is
// told of a drain, which waits for it.
func TestTakeover(t *testing.T) {
	cert, key := selfSigned(t)
	for _, extra := range []string{"", fmt.Sprintf("tls = { certificates = [{ cert = %q, key = %q }] }", cert, key)} {
		g := start(t, extra)
		c := g.dial()
		if extra != "" {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		// What comes right behind the request is for the new owner, too.
		io.WriteString(c, "GET /takeover HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly ")
		r := bufio.NewReader(c)
		head, err := r.ReadString('\n')
		for line := head; err == nil && line != "\r\n"; {
			line, err = r.ReadString('\n')
		}
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
			t.Fatal(head, err)
		}
		echoed := func(want string) {
			t.Helper()
			b := make([]byte, len(want))
			if _, err := io.ReadFull(r, b); err != nil || string(b) != want {
				t.Fatalf("got %.30q, %v", b, err)
			}
		}
		echoed("early ")
		for i := range 20 {
			text := fmt.Sprintf("%d:%s", i, strings.Repeat("x", 10*i*i*i))
			go io.WriteString(c, text)
			echoed(text)
		}
		if got := g.Stats(); got.InFlight != 0 || got.Tunnels != 1 {
			t.Errorf("%d in flight, %d tunnels", got.InFlight, got.Tunnels)
		}
		drained := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			drained <- g.Drain(ctx)
		}()
		<-g.owner.left
		c.(interface{ CloseWrite() error }).CloseWrite()
		<-g.owner.ended
		if err := <-drained; err != nil {
			t.Error(err)
		}
		c.Close()
	}
}

// newOwner is for the test's own gateway.
func newOwner() *owner { return &owner{make(chan struct{}), make(chan struct{})} }
