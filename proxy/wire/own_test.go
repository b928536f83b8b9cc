package wire

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// However much is written and however slowly it is read, owned or not, all arrives.
func TestOwnWrites(t *testing.T) {
	for _, own := range []bool{true, false} {
		c, far := pair(t, new(Buffers))
		if own {
			c.Own()
		}
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than sockets hold
		got := make(chan []byte)
		go func() {
			time.Sleep(10 * time.Millisecond) // the writer has to wait
			b, _ := io.ReadAll(far)
			got <- b
		}()
		n, err := c.WriteBoth(want[:1000], want[1000:])
		if n != len(want) || err != nil {
			t.Errorf("owned %v: %d bytes, %v", own, n, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if b := <-got; !bytes.Equal(b, want) {
			t.Errorf("owned %v: %d bytes arrived, want %d", own, len(b), len(want))
		}
	}
}

// A connection that is cut wakes whoever reads or writes, takes nothing more, and is
// still its owner's to close.
func TestCut(t *testing.T) {
	c, _ := pair(t, new(Buffers))
	if c.Cut() {
		t.Error("cut, though nobody owns it")
	}
	c.Own()
	if !c.owned {
		t.Skip("no raw sockets here")
	}
	failed := make(chan error, 2)
	go func() { failed <- c.Await() }()
	go func() {
		var err error
		for piece := make([]byte, Large); err == nil; {
			_, err = c.Write(piece) // until the socket takes no more
		}
		failed <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if !c.Cut() {
		t.Error("not cut")
	}
	for range 2 {
		select {
		case err := <-failed:
			if err == nil {
				t.Error("a read or write succeeded")
			}
		case <-time.After(time.Minute):
			t.Fatal("somebody still waits")
		}
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("a write after the cut succeeded")
	}
	if !c.Gone() {
		t.Error("not gone")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Spare memory is what a message can be made in while a head in front of it is in use.
func TestSpare(t *testing.T) {
	c, far := pair(t, &Buffers{Poison: true})
	if c.Spare(1) != nil {
		t.Error("spare memory without a buffer")
	}
	if _, err := far.Write([]byte("head|next")); err != nil {
		t.Fatal(err)
	}
	for len(c.Buffered()) < 9 {
		if err := c.Fill(Small); err != nil {
			t.Fatal(err)
		}
	}
	head := c.Buffered()[:5]
	c.Discard(5)
	c.Pin()
	spare := c.Spare(1000)
	if len(spare) != Small-9 || cap(spare) != len(spare) {
		t.Fatalf("%d bytes of %d", len(spare), cap(spare))
	}
	for i := range spare {
		spare[i] = 'x'
	}
	if string(head) != "head|" || string(c.Buffered()) != "next" {
		t.Errorf("%q, %q", head, c.Buffered())
	}
	if c.Spare(Small) != nil {
		t.Error("more than there is")
	}
}

// A short message, by a connection that others may close and by one that they can't.
func BenchmarkWrite(b *testing.B) {
	for name, own := range map[string]bool{"anybody's": false, "own": true} {
		b.Run(name, func(b *testing.B) {
			c, far := pair(b, new(Buffers))
			go func() { _, _ = io.Copy(io.Discard, far) }()
			if own {
				c.Own()
			}
			message := make([]byte, 200)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
