package wire

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// Quiet tells bytes, an end and a reset; Gone the latter two only.
func TestQuiet(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can tell")
	}
	f := func(what string, do func(peer *net.TCPConn), quiet, gone bool) {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ours, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		c := NewConn(ours, ours, new(Buffers))
		if !c.Quiet() || c.Gone() {
			t.Errorf("%s: not quiet at first", what)
		}
		do(peer.(*net.TCPConn))
		for end := time.Now().Add(time.Minute); !quiet && c.Quiet() && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // it is on its way
		}
		if got := c.Quiet(); got != quiet {
			t.Errorf("%s: got quiet %v, want %v", what, got, quiet)
		}
		if got := c.Gone(); got != gone {
			t.Errorf("%s: got gone %v, want %v", what, got, gone)
		}
	}
	f("nothing", func(*net.TCPConn) {}, true, false)
	f("bytes", func(peer *net.TCPConn) { peer.Write([]byte("x")) }, false, false)
	f("end", func(peer *net.TCPConn) { peer.CloseWrite() }, false, true)
	f("reset", func(peer *net.TCPConn) { peer.SetLinger(0); peer.Close() }, false, true)
}
