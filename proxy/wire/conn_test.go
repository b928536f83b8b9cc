package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// pair returns both ends of a TCP connection; the first one as a Conn.
func pair(t testing.TB, buffers *Buffers) (*Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		far.Close()
		near.Close()
	})
	return NewConn(near, near, buffers), far
}

// Whatever the mix of calls, the bytes come in order, and pinned ones stay.
func TestConnReads(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		c, far := pair(t, &Buffers{Poison: true})
		c.plain = c.plain && seed%3 != 0 // both ways to read
		want := make([]byte, 200_000)
		for i := range want {
			want[i] = byte(random.Uint32())
		}
		go func() {
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 1+int(seed*997)%20_000)
				if _, err := far.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
			far.Close()
		}()
		var got, pinned, kept []byte
		take := func(p []byte) { got = append(got, p...) }
		for {
			var err error
			switch random.IntN(5) {
			case 0:
				err = c.Await()
			case 4:
				before := len(c.Buffered())
				if c.Hold(); len(c.Buffered()) != before {
					t.Fatalf("seed %d: %d bytes after Hold, want %d", seed, len(c.Buffered()), before)
				}
				c.Release()
				if before == 0 && c.buf != nil {
					t.Fatalf("seed %d: a buffer with nothing in it", seed)
				}
				err = c.Await()
			case 1:
				if err = c.Fill(Large); errors.Is(err, ErrFull) {
					err = nil
				}
			case 2:
				buf := make([]byte, 1+random.IntN(5000))
				var n int
				n, err = c.Read(buf)
				take(buf[:n])
			case 3:
				if b := c.Buffered(); len(b) > 0 {
					n := 1 + random.IntN(len(b))
					take(b[:n])
					c.Discard(n)
					if pinned != nil && !bytes.Equal(pinned, kept) {
						t.Fatalf("seed %d: pinned bytes changed", seed)
					}
					c.Unpin()
					c.Pin()
					pinned, kept = b[:n], bytes.Clone(b[:n])
				}
			}
			if pinned != nil && !bytes.Equal(pinned, kept) {
				t.Fatalf("seed %d: pinned bytes changed", seed)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		take(c.Buffered())
		if !bytes.Equal(got, want) {
			t.Fatalf("seed %d: got %d bytes, want %d, or others", seed, len(got), len(want))
		}
	}
}

// A write of more than the socket takes at once arrives whole.
func TestConnWrites(t *testing.T) {
	c, far := pair(t, new(Buffers))
	want := bytes.Repeat([]byte("0123456789"), 1_000_000)
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		n, err := c.Write(want)
		if n != len(want) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		c.CloseWrite()
	}()
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	<-wrote
	far.Close()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) { // the reset may take a moment
		if _, err = c.Write(want[:1]); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("writing to a closed connection succeeds")
	}
}

// Two pieces arrive as one, whatever the socket takes at once.
func TestConnWritesBoth(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for _, plain := range []bool{true, false} {
		c, far := pair(t, new(Buffers))
		c.plain = c.plain && plain
		var want []byte
		done := make(chan struct{})
		pieces := make([][2][]byte, 60)
		for i := range pieces {
			for j := range 2 {
				p := make([]byte, random.IntN(1<<uint(random.IntN(20))+1))
				for k := range p {
					p[k] = byte(random.Uint32())
				}
				pieces[i][j] = p
				want = append(want, p...)
			}
		}
		go func() {
			defer close(done)
			for _, p := range pieces {
				if n, err := c.WriteBoth(p[0], p[1]); n != len(p[0])+len(p[1]) || err != nil {
					t.Errorf("wrote %d of %d, %v", n, len(p[0])+len(p[1]), err)
				}
			}
			c.CloseWrite()
		}()
		got, err := io.ReadAll(far)
		<-done
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("plain %v: got %d bytes, %v, want %d, or others", plain, len(got), err, len(want))
		}
	}
}

// Limits are kept to a twentieth, and an idle connection holds no buffer.
func TestConnTimeouts(t *testing.T) {
	c, far := pair(t, new(Buffers))
	now := time.Now()
	for _, wait := range []func() error{c.Await, func() error { return c.Fill(Small) }, func() error { _, err := c.Read(make([]byte, 1)); return err }} {
		begin := time.Now()
		if err := c.SetReadTimeout(begin, 40*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if err := wait(); !TimedOut(err) {
			t.Errorf("got %v, want a time-out", err)
		}
		if took := time.Since(begin); took < 40*time.Millisecond {
			t.Errorf("gave up after %s", took)
		}
		c.Release()
		if c.buf != nil {
			t.Error("an idle connection holds a buffer")
		}
	}
	// A deadline that is near enough isn't moved.
	if err := c.SetReadTimeout(now, time.Hour); err != nil {
		t.Fatal(err)
	}
	was := c.readUntil
	if err := c.SetReadTimeout(now.Add(time.Minute), time.Hour); err != nil || c.readUntil != was {
		t.Errorf("the deadline moved by a little: %v", err)
	}
	if err := c.SetReadTimeout(now.Add(10*time.Minute), time.Hour); err != nil || c.readUntil == was {
		t.Errorf("the deadline did not move: %v", err)
	}
	c.Abort()
	if err := c.Await(); !TimedOut(err) {
		t.Errorf("aborted: got %v", err)
	}
	_ = far
}

// A peer that leaves is seen although it left unread bytes behind.
func TestGone(t *testing.T) {
	c, far := pair(t, new(Buffers))
	if c.Gone() {
		t.Error("gone while it is there")
	}
	if _, err := far.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	far.Close()
	for deadline := time.Now().Add(time.Minute); !c.Gone(); {
		if time.Now().After(deadline) {
			t.Fatal("not gone after it left")
		}
		time.Sleep(time.Millisecond)
	}
}

// One message there and back, through package net, past it, and within one wait.
func BenchmarkEcho(b *testing.B) {
	for _, name := range []string{"net", "own", "each"} {
		b.Run(name, func(b *testing.B) {
			c, far := pair(b, new(Buffers))
			c.plain = c.plain && name != "net"
			echo := func() bool {
				_, err := c.Write(c.Buffered())
				c.Discard(len(c.Buffered()))
				return err == nil
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				if name == "each" {
					_ = c.AwaitEach(echo) // until far closes
					return
				}
				for c.Await() == nil && echo() {
				}
			}()
			message, buf := make([]byte, 200), make([]byte, 200)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := far.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(far, buf); err != nil {
					b.Fatal(err)
				}
			}
			far.Close()
			<-done
		})
	}
}

// What Ask writes arrives whole, and what it reads is the answer, whatever the
// socket takes at once and whenever the peer answers or leaves.
func TestAsk(t *testing.T) {
	f := func(what string, size int, peer func(far net.Conn, asked []byte), wantWrote bool, want string, wantErr func(error) bool) {
		t.Helper()
		for _, plain := range []bool{true, false} {
			c, far := pair(t, new(Buffers))
			c.plain = c.plain && plain
			head, rest := bytes.Repeat([]byte("h"), 300), bytes.Repeat([]byte("r"), size)
			done := make(chan struct{})
			go func() {
				defer close(done)
				asked := make([]byte, len(head)+len(rest))
				n, _ := io.ReadFull(far, asked)
				peer(far, asked[:n])
			}()
			now := time.Now()
			if err := errors.Join(c.SetReadTimeout(now, 50*time.Millisecond), c.SetWriteTimeout(now, 5*time.Second)); err != nil {
				t.Fatal(err)
			}
			if size > Large {
				if err := c.SetReadDeadline(now.Add(5 * time.Second)); err != nil {
					t.Fatal(err)
				}
			}
			message := append(c.Scratch()[:0], head...)
			wrote, err := c.Ask(message, rest, Large)
			if wrote != wantWrote || !wantErr(err) || string(c.Buffered()) != want {
				t.Errorf("%s, plain %v: wrote %v, %v, got %q", what, plain, wrote, err, c.Buffered())
			}
			far.Close()
			<-done
		}
	}
	none := func(err error) bool { return err == nil }
	whole := func(size int) func(net.Conn, []byte) {
		return func(far net.Conn, asked []byte) {
			if len(asked) == 300+size && bytes.Count(asked, []byte("r")) == size {
				_, _ = far.Write([]byte("answer"))
			}
		}
	}
	f("short", 0, whole(0), true, "answer", none)
	f("two pieces", 5000, whole(5000), true, "answer", none)
	f("more than the socket takes", 20<<20, whole(20<<20), true, "answer", none)
	f("no answer", 10, func(net.Conn, []byte) { time.Sleep(100 * time.Millisecond) }, true, "", TimedOut)
	f("the end", 10, func(far net.Conn, _ []byte) { far.Close() }, true, "", func(err error) bool { return err == io.EOF })

	// What came unasked is found sooner or later.
	c, far := pair(t, new(Buffers))
	if _, err := far.Write([]byte("unasked")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); c.Quiet() && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // it is on its way
	}
	if err := c.SetReadTimeout(time.Now(), 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	wrote, err := c.Ask(append(c.Scratch()[:0], 'x'), nil, Large)
	if wrote && TimedOut(err) {
		if err = c.SetReadTimeout(time.Now(), time.Minute); err == nil {
			err = c.Fill(Large)
		}
	}
	if err != nil || string(c.Buffered()) != "unasked" {
		t.Errorf("got %q, %v", c.Buffered(), err)
	}

	// A connection that is closed can't be written to.
	c.Close()
	if wrote, err := c.Ask([]byte("x"), nil, Large); wrote || err == nil {
		t.Errorf("on a closed connection: %v, %v", wrote, err)
	}
}

// A question and its answer, by Ask and by its two parts.
func BenchmarkAsk(b *testing.B) {
	for name, ask := range map[string]func(*Conn, []byte) error{
		"one": func(c *Conn, m []byte) error { _, err := c.Ask(m, nil, Large); return err },
		"two": func(c *Conn, m []byte) error {
			if _, err := c.Write(m); err != nil {
				return err
			}
			return c.Fill(Large)
		},
	} {
		b.Run(name, func(b *testing.B) {
			c, far := pair(b, new(Buffers))
			go func() {
				buf := make([]byte, 4096)
				for {
					n, err := far.Read(buf)
					if err != nil {
						return
					}
					if _, err := far.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
			message := make([]byte, 200)
			b.ReportAllocs()
			for b.Loop() {
				if err := ask(c, message); err != nil {
					b.Fatal(err)
				}
				c.Discard(len(c.Buffered()))
			}
		})
	}
}
