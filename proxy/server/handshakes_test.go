package server

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/pausetest"
)

// Failed handshakes are counted by whose doing it was.
func TestHandshakes(t *testing.T) {
	pausetest.Run(t, 200*time.Millisecond, func(t testing.TB) {
		cert, key := selfSigned(t)
		g := start(t, fmt.Sprintf("tls = { certificates = [{ cert = %q, key = %q }] }\nlimits = { header_timeout = \"1s\" }", cert, key))
		g.release()
		want := map[string]uint64{"unrecognized_name": 0, "timeout": 0, "closed": 0, "client_alert": 0, "protocol": 0}
		fails := func(reason string, f func()) {
			t.Helper()
			f()
			want[reason]++
			end := time.Now().Add(time.Minute)
			for !maps.Equal(g.Stats().Handshakes, want) {
				if time.Now().After(end) {
					t.Fatalf("got %v, want %v", g.Stats().Handshakes, want)
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
		dial := func(cfg *tls.Config) {
			t.Helper()
			if c, err := tls.Dial("tcp", g.addr(), cfg); err == nil {
				c.Close()
				t.Fatal("agreed")
			}
		}
		fails("client_alert", func() { dial(&tls.Config{ServerName: "localhost", MaxVersion: tls.VersionTLS12}) })
		fails("client_alert", func() { dial(&tls.Config{ServerName: "localhost"}) })
		fails("protocol", func() {
			dial(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		})
		fails("closed", func() {
			c, err := net.Dial("tcp", g.addr())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "\x16\x03\x01")
			c.Close()
		})
		fails("timeout", func() {
			c, err := net.Dial("tcp", g.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.Copy(io.Discard, c) // until the server hangs up
		})
		if state := g.session(&tls.Config{}); state == nil {
			t.Fatal("no agreement")
		}
		if got := g.Stats().Handshakes; !maps.Equal(got, want) {
			t.Errorf("a good one counts: %v, want %v", got, want)
		}

		// Without a certificate for the name, and for no name at all.
		bare := start(t, "tls = {}")
		bare.release()
		for _, name := range []string{"nobody.example", ""} {
			if c, err := tls.Dial("tcp", bare.addr(), &tls.Config{ServerName: name, InsecureSkipVerify: true}); err == nil {
				c.Close()
				t.Errorf("%q has a certificate", name)
			} else if got := err.Error(); got != "remote error: tls: unrecognized name" {
				t.Errorf("%q: %s", name, got)
			}
		}
		// The client hears of it before it is counted.
		for end := time.Now().Add(time.Minute); bare.Stats().Handshakes["unrecognized_name"] < 2 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if got := bare.Stats().Handshakes["unrecognized_name"]; got != 2 {
			t.Errorf("%d names without a certificate, want 2", got)
		}
	})
}
