package certificate

import (
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
)

// slowly stands between the gateway and an authority at address: each answer comes
// after a while, and then drop by drop. It returns its own address and counts flights.
func slowly(t *testing.T, address string) (at string, flights *atomic.Int64) {
	t.Helper()
	const pause, drop, between = 200 * time.Millisecond, 128, time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flights = new(atomic.Int64)
	var work sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			open = append(open, client, server)
			mu.Unlock()
			var asked atomic.Bool
			work.Go(func() {
				defer server.Close()
				buffer := make([]byte, 16<<10)
				for {
					n, err := client.Read(buffer)
					if err != nil {
						return
					}
					asked.Store(true)
					if _, err := server.Write(buffer[:n]); err != nil {
						return
					}
				}
			})
			work.Go(func() {
				defer client.Close()
				buffer := make([]byte, 16<<10)
				for {
					n, err := server.Read(buffer)
					if err != nil {
						return
					}
					if asked.Swap(false) {
						flights.Add(1)
						time.Sleep(pause)
					}
					for all := buffer[:n]; len(all) > 0; time.Sleep(between) {
						part := all[:min(drop, len(all))]
						if _, err := client.Write(part); err != nil {
							return
						}
						all = all[len(part):]
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return listener.Addr().String(), flights
}

// An authority that takes its time for each answer and sends it drop by drop gives
// certificates all the same, and nothing else waits for it: neither handshakes for
// other names nor a reload, which leaves the order as it is.
func TestACMESlow(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	fast := strings.TrimSuffix(strings.TrimPrefix(ca.Directory, "https://"), "/dir")
	slow, flights := slowly(t, fast)
	slowConfig := strings.ReplaceAll(ca.Config(""), fast, slow)
	files := "own.test " + writePair(t, f.dir, "own", selfSigned(t, "own.test", time.Now(), time.Hour))
	f.apply(ca.Config(""), "a.postern.test", files)
	f.got("a.postern.test")
	f.apply(slowConfig, "a.postern.test", "slow.postern.test", files)
	own := x509.NewCertPool()
	own.AddCert(f.Find("own.test").Leaf)
	const most = 10 * time.Second // where nothing waits it is milliseconds
	handshakes := 0
	until(t, "a certificate of the slow authority", func() bool {
		began := time.Now()
		if err := f.get("own.test", own); err != nil {
			t.Fatal(err)
		}
		if f.Find("a.postern.test") == nil {
			t.Fatal("a.postern.test isn't served")
		}
		if handshakes++; handshakes == 10 {
			f.apply(slowConfig, "a.postern.test", "slow.postern.test", "more.postern.test", files)
		}
		if took := time.Since(began); took > most {
			t.Fatalf("a handshake took %v", took)
		}
		return f.Find("slow.postern.test") != nil
	})
	f.got("more.postern.test")
	if handshakes < 10 || flights.Load() < 10 {
		t.Errorf("%d handshakes, %d answers: nothing was slow", handshakes, flights.Load())
	}
}

// An answer without an end ends all the same.
func TestDrippingAnswer(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	ca := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}))
	defer ca.Close()
	defer close(stop)
	answer, err := http.Get(ca.URL)
	if err != nil {
		t.Fatal(err)
	}
	body := newTimely(answer.Body, 200*time.Millisecond)
	defer body.Close()
	if n, err := io.Copy(io.Discard, body); !errors.Is(err, errLate) || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	// What came in time is nobody's concern any more.
	whole := newTimely(io.NopCloser(strings.NewReader("all")), time.Hour)
	if text, err := io.ReadAll(whole); string(text) != "all" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if err := whole.Close(); err != nil || whole.timer.Stop() {
		t.Errorf("%v, or its timer still runs", err)
	}
}
