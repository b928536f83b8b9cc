package server

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// What is known of a head that never ended says nothing about the next client's:
// a head that is shorter than the lost one, with content behind it, is complete.
func TestLostHead(t *testing.T) {
	g := start(t, "")
	g.release()
	content := strings.Repeat("x", 300)
	whole := fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
	for range 20 {
		c := g.dial()
		if _, err := io.WriteString(c, "GET /echo HTTP/1.1\r\nHost: localhost\r\nX-Long: "+strings.Repeat("y", 100)); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil { // it has ended there, too
			t.Fatal(err)
		}
		if got := g.talk(whole); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "body="+content) {
			t.Fatalf("after a head that never ended, a whole request got %.200q", got)
		}
	}
}
