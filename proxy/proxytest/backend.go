package proxytest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// backend is a fake server on loopback that answers as a script says and
// remembers what it got.
type backend struct {
	name     string
	listener net.Listener
	seen     chan *message // requests in order; the size is more than a script sends
	wait     sync.WaitGroup
	done     chan struct{} // closed by close

	mu      sync.Mutex // guards what follows
	answers []*reply
	turn    int
	conns   map[net.Conn]bool
}

// reply is one scripted answer.
type reply struct {
	raw     string // the exact bytes; the fields below otherwise
	status  string // "201 Created"
	fields  []field
	content string
	hang    bool // never answer
	cut     bool // close instead
	close   bool // close afterwards
	tunnel  bool // send back what comes afterwards
}

// bytes returns the answer as it goes out.
func (r *reply) bytes(verb string) string {
	if r.raw != "" {
		return r.raw
	}
	var b strings.Builder
	b.WriteString("HTTP/1.1 " + r.status + "\r\n")
	for _, f := range r.fields {
		b.WriteString(f.String() + "\r\n")
	}
	bodiless := strings.HasPrefix(r.status, "1") || strings.HasPrefix(r.status, "204") || strings.HasPrefix(r.status, "304")
	if !has(r.fields, "Content-Length") && !has(r.fields, "Transfer-Encoding") && !bodiless {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.content))
	}
	b.WriteString("\r\n")
	if verb != "HEAD" && !bodiless {
		b.WriteString(r.content)
	}
	return b.String()
}

func has(fields []field, name string) bool {
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			return true
		}
	}
	return false
}

// startBackend listens on loopback; secure is nil for cleartext.
func startBackend(name string, secure *tls.Config) (*backend, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{
		name: name, listener: l, seen: make(chan *message, 1000), done: make(chan struct{}),
		conns: map[net.Conn]bool{},
	}
	if secure != nil {
		b.listener = tls.NewListener(l, secure)
	}
	b.wait.Go(b.accept)
	return b, nil
}

func (b *backend) addr() string { return b.listener.Addr().String() }

// script replaces the answers that are still to be given.
func (b *backend) script(answers []*reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers, b.turn = answers, 0
}

// close ends the backend and waits for its goroutines.
func (b *backend) close() {
	close(b.done)
	_ = b.listener.Close() // only fails when it is closed already
	b.mu.Lock()
	for c := range b.conns {
		_ = c.Close() // the peer may have been first
	}
	b.mu.Unlock()
	b.wait.Wait()
}

func (b *backend) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.conns[c] = true
		b.mu.Unlock()
		b.wait.Go(func() {
			b.serve(c)
			_ = c.Close() // the peer may have been first
			b.mu.Lock()
			delete(b.conns, c)
			b.mu.Unlock()
		})
	}
}

func (b *backend) serve(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		m, err := readMessage(r, func(*message) bool { return false }, false)
		if err != nil {
			if !errors.Is(err, errNothing) {
				b.remember(&message{first: "unreadable: " + err.Error()})
			}
			return
		}
		b.remember(m)
		answer := b.next()
		if answer.hang {
			<-b.done
			return
		}
		if answer.cut {
			return
		}
		verb, _, _ := strings.Cut(m.first, " ")
		if _, err := io.WriteString(c, answer.bytes(verb)); err != nil {
			return
		}
		if answer.tunnel {
			_, _ = io.Copy(c, r) // ends when either side does
			return
		}
		if answer.close {
			return
		}
	}
}

func (b *backend) remember(m *message) {
	select {
	case b.seen <- m:
	default: // the script doesn't ask for that many
	}
}

func (b *backend) next() *reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.answers) == 0 {
		return &reply{status: "200 OK", fields: []field{{name: "Content-Type", value: "text/plain"}}, content: "ok"}
	}
	a := b.answers[min(b.turn, len(b.answers)-1)]
	b.turn++
	return a
}

// request returns the next request that the backend got, or nil after wait.
func (b *backend) request(wait time.Duration) *message {
	select {
	case m := <-b.seen:
		return m
	default:
	}
	select {
	case m := <-b.seen:
		return m
	case <-time.After(wait):
		return nil
	}
}
