package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// site is what stands behind the gateway, and its configuration.
type site struct {
	dir    string
	good   net.Listener
	bad    net.Listener
	closed string // an address where nobody listens
	server *http.Server
}

func newSite(dir string) (*site, error) {
	s := &site{dir: dir}
	var err error
	if s.good, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if s.bad, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.closed = gone.Addr().String()
	gone.Close()
	s.server = &http.Server{Handler: http.HandlerFunc(echo)}
	go s.server.Serve(s.good)
	go s.misbehave()
	for name, module := range map[string][]byte{
		"gate": authorizer("\x41\x01"),                     // i32.const 1: everybody may pass
		"trap": authorizer("\x00"),                         // unreachable
		"loop": authorizer("\x03\x40\x0c\x00\x0b\x41\x01"), // loop br 0 end
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module, 0o600); err != nil {
			return nil, err
		}
	}
	return s, s.configure(0)
}

func (s *site) close() {
	s.server.Close()
	s.bad.Close()
}

// authorizer returns a native authorizer's module, the function's body given.
func authorizer(body string) []byte {
	code := "\x00" + body + "\x0b"
	functions := "\x02" + "\x06\x00\x41\x80\x80\x04\x0b" + string(rune(len(code))) + code
	return []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x05\x01\x60\x00\x01\x7f" +
		"\x03\x03\x02\x00\x00" +
		"\x05\x04\x01\x01\x01\x01" +
		"\x07\x2c\x03" +
		"\x06memory\x02\x00" +
		"\x0bpostern_abi\x00\x00" +
		"\x11postern_authorize\x00\x01" +
		"\x0a" + string(rune(len(functions))) + functions)
}

// idHeader carries a request's id to the backend and back.
const idHeader = "X-Soak-Id"

// echo is the backend that behaves: it sends back what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		chat(w, r)
		return
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	w.Header().Set(idHeader, r.Header.Get(idHeader))
	if r.Header.Get("X-Soak-Chunked") != "" {
		half := len(content) / 2
		_, _ = w.Write(content[:half]) // a client that left needs no answer
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(content[half:])
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content)
}

// chat is a WebSocket that sends every short message back. RFC 6455, 5.2.
func chat(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for {
		head := make([]byte, 6)
		if _, err := io.ReadFull(buffered, head); err != nil {
			return
		}
		text := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(buffered, text); err != nil {
			return
		}
		for i := range text {
			text[i] ^= head[2+i%4]
		}
		if _, err := conn.Write(append([]byte{0x81, byte(len(text))}, text...)); err != nil {
			return
		}
	}
}

// misbehave is the backend that doesn't. What it does is the last segment of
// the path.
func (s *site) misbehave() {
	for {
		conn, err := s.bad.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // no connection is for ever
			in := bufio.NewReader(conn)
			for {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				content, err := io.ReadAll(r.Body)
				if err != nil || !wrong(conn, r, content) {
					return
				}
			}
		}()
	}
}

// wrong answers one request wrongly and reports whether the connection goes on.
func wrong(conn net.Conn, r *http.Request, content []byte) bool {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\n%s: %s\r\n", idHeader, r.Header.Get(idHeader))
	say := func(format string, args ...any) { fmt.Fprintf(conn, format, args...) }
	n := len(content)
	switch r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:] {
	case "reset": // before a byte of the answer
		_ = conn.(*net.TCPConn).SetLinger(0)
	case "close":
	case "middle": // of the content
		say("%sContent-Length: %d\r\n\r\n%s", head, n+1000, content)
		_ = conn.(*net.TCPConn).SetLinger(0)
	case "short":
		say("%sContent-Length: %d\r\n\r\n%s", head, n+10, content)
	case "long": // the rest must not become the next answer
		say("%sContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\n%s: stray\r\nContent-Length: 5\r\n\r\nstray", head, n, content, idHeader)
		return true
	case "garbage":
		say("\x00\x01\x02 no HTTP at all\r\n\r\n")
	case "chunk":
		say("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nnot a size\r\n", head, n, content)
	case "both":
		say("%sContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", head)
	case "stall": // longer than the route waits
		time.Sleep(1500 * time.Millisecond)
	case "drip":
		say("%sContent-Length: %d\r\n\r\n", head, n)
		for i := range content {
			if _, err := conn.Write(content[i : i+1]); err != nil {
				return false
			}
			time.Sleep(time.Millisecond)
		}
		return true
	case "early": // an answer to a request that it then doesn't want
		say("%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", head, n, content)
	case "inform":
		for range 5 {
			say("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
		}
		say("%sContent-Length: %d\r\n\r\n%s", head, n, content)
		return true
	}
	return false
}

// configure writes the configuration's version.
func (s *site) configure(version int) error {
	return s.put(fmt.Sprintf(`
data_dir = "state"
[listen.public]
address = "systemd:public"
limits.header_timeout = "1s"
limits.body_timeout = "1s"
limits.client.connections = 0
[log]
access = "access.log"
[drain]
timeout = "4s"
[plugin.gate]
module = "gate.wasm"
timeout = "2s"
[plugin.trap]
module = "trap.wasm"
[plugin.loop]
module = "loop.wasm"
timeout = "20ms"
[authorizer.gate]
type = "wasm"
plugin = "gate"
[authorizer.trap]
type = "wasm"
plugin = "trap"
[authorizer.loop]
type = "wasm"
plugin = "loop"
[backend.good]
targets = [%[1]q]
keep_alive = "%[4]ds"
[backend.bad]
targets = [%[2]q]
keep_alive = "2s"
[backend.closed]
targets = [%[3]q]
[api.soak]
type = "rest"
[api.soak.stage.prod]
[api.soak.route."GET /version"]
integration = { type = "mock" }
[api.soak.route."GET /version".response.default]
template."text/plain" = "%[5]d"
[api.soak.route."ANY /echo"]
integration = { type = "http_proxy", backend = "good", url = "http://good/echo" }
[api.soak.route."ANY /gate"]
authorizer = "gate"
integration = { type = "http_proxy", backend = "good", url = "http://good/gate" }
[api.soak.route."ANY /trap"]
authorizer = "trap"
integration = { type = "http_proxy", backend = "good", url = "http://good/trap" }
[api.soak.route."ANY /loop"]
authorizer = "loop"
integration = { type = "http_proxy", backend = "good", url = "http://good/loop" }
[api.soak.route."ANY /closed"]
integration = { type = "http_proxy", backend = "closed", url = "http://closed/" }
[api.soak.route."ANY /bad/{how}"]
integration = { type = "http_proxy", backend = "bad", url = "http://bad/{how}", timeout = "1s" }
`, s.good.Addr(), s.bad.Addr(), s.closed, 2+version%2, version))
}

// spoil writes a configuration that can't serve.
func (s *site) spoil() error { return s.put("[api.soak\n") }

// put replaces the configuration in one step.
func (s *site) put(text string) error {
	file := filepath.Join(s.dir, "postern.toml")
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// message returns a client's WebSocket frame with text, masked by key.
func message(text string, key uint32) []byte {
	b := []byte{0x81, 0x80 | byte(len(text))}
	b = binary.BigEndian.AppendUint32(b, key)
	for i := range len(text) {
		b = append(b, text[i]^b[2+i%4])
	}
	return b
}
