package proxytest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// An idle connection of a WebSocket API costs little: one goroutine and no buffers, also
// after messages went by. The clients' side is counted with it.
func TestWebSocketIdleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs memory of its own")
	}
	n := 500
	if s := os.Getenv("POSTERN_IDLE_CONNECTIONS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	gateway, _ := serveSockets(t, func(http.ResponseWriter, *http.Request) {}, `limits = { connections = 100000 }
[api.chat]
type = "websocket"
[api.chat.stage.prod]
[api.chat.route."$default"]
integration = { type = "mock" }
response.default.template."application/json" = "ok"
route_response = true
`)
	inUse := func() int64 {
		for range 6 { // stacks shrink by half in each collection
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := inUse()
	conns := make([]net.Conn, n)
	for i := range conns {
		c := rawJoin(t, gateway, "")
		for range 3 {
			c.frame(0x81, `{"action":"hello"}`)
			if _, content := c.read(); content != "ok" {
				t.Fatalf("got %q", content)
			}
		}
		conns[i] = c.Conn
	}
	time.Sleep(50 * time.Millisecond) // the last ones get from their answer to waiting
	used := (inUse() - before) / int64(n)
	t.Logf("%d idle connections: %d bytes each in heap and stacks", n, used)
	if used > 30<<10 {
		t.Errorf("%d bytes, want at most %d", used, 30<<10)
	}
	runtime.KeepAlive(conns)
}

// Many clients at the same time, who say much, leave in all ways, and are posted to: the
// race detector looks on, and nothing is left of them.
func TestWebSocketHammer(t *testing.T) {
	connected, gone := make(chan string, 10_000), make(chan string, 10_000)
	gateway, _ := serveSockets(t, ids(connected, gone), managed)
	const clients = 40
	var all sync.WaitGroup
	for i := range clients {
		all.Add(1)
		go func() {
			defer all.Done()
			for round := range 3 {
				c := rawJoin(t, gateway, "")
				id := next(t, connected) // perhaps another's
				for range 20 {
					c.frame(0x81, fmt.Sprintf(`{"action":"say","from":%d}`, i))
				}
				for range 5 {
					manage(t, gateway, "POST", "/prod/@connections/"+id, "hello", "backend")
				}
				switch (i + round) % 4 {
				case 0:
					c.frame(0x88, "\x03\xe8")
					for first, _ := c.read(); first != 0x88 && first != 0; {
						first, _ = c.read()
					}
				case 1:
					manage(t, gateway, "DELETE", "/prod/@connections/"+id, "", "backend")
				case 2:
					c.frame(0xff, "rubbish")
				}
				c.Close()
			}
		}()
	}
	all.Wait()
	seen := map[string]bool{}
	for range 3 * clients {
		id := next(t, gone)
		if seen[id] {
			t.Errorf("$disconnect of %s ran twice", id)
		}
		seen[id] = true
	}
	if counts := gateway.(*assembly).sockets.Counts(); len(counts) > 0 {
		t.Errorf("still there: %v", counts)
	}
}

// BenchmarkWebSocketMessage is a message and its answer of a mock, over loopback; the
// client's side is counted with it.
func BenchmarkWebSocketMessage(b *testing.B) {
	file := filepath.Join(b.TempDir(), "postern.toml")
	text := `listen.public.address = "127.0.0.1:0"
[api.chat]
type = "websocket"
[api.chat.stage.prod]
[api.chat.route.say]
integration = { type = "mock" }
response.default.template."application/json" = "ok"
route_response = true
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	gateway := Start(b)
	b.Cleanup(gateway.Close)
	if problem := gateway.Apply(file); problem != "" {
		b.Fatal(problem)
	}
	c := rawJoin(b, gateway, "")
	if err := c.SetDeadline(time.Time{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.frame(0x81, `{"action":"say","text":"hello there"}`)
		if _, content := c.read(); content != "ok" {
			b.Fatal(content)
		}
	}
}
