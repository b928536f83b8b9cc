package proxytest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A backend that answers before it has read the content, while the client still
// sends: the answer arrives whole, whatever the two directions do at that time.
func TestEarlyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.WriteString(c, "HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n"+strings.Repeat("0123456789", 200))
					io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	gateway := Start(t)
	defer gateway.Close()
	apply(t, gateway, `
[listen.public]
address = "127.0.0.1:0"
[backend.b]
targets = ["`+l.Addr().String()+`"]
connect_timeout = "1m"
[api.a]
type = "rest"
[api.a.route."ANY /{proxy+}"]
integration = { type = "http_proxy", url = "http://b/{proxy}", backend = "b", timeout = "1m" }
[api.a.stage.s]
`)
	head := "POST /s/x HTTP/1.1\r\nHost: a.localhost\r\n"
	shapes := map[string]struct{ head, part string }{
		"length":          {"Content-Length: 1000000\r\n\r\n", strings.Repeat("x", 1000)},
		"chunks":          {"Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("3e8\r\n%s\r\n", strings.Repeat("x", 1000))},
		"length expected": {"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n", strings.Repeat("x", 1000)},
		"chunks expected": {"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("3e8\r\n%s\r\n", strings.Repeat("x", 1000))},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for range 25 {
						early(t, gateway.Addr("public"), head+shape.head, shape.part)
					}
				})
			}
			all.Wait()
		})
	}
}

// early sends head and then part after part until the connection ends, and
// checks the answer.
func early(t *testing.T, addr, head, part string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go func() {
		for out := head; ; out = part {
			if _, err := io.WriteString(c, out); err != nil {
				return
			}
		}
	}()
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	for err == nil && response.StatusCode == 100 {
		response, err = http.ReadResponse(r, nil)
	}
	if err != nil {
		t.Error(err)
		return
	}
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 401 || string(content) != strings.Repeat("0123456789", 200) {
		t.Errorf("got %d with %d bytes (%.60q…), %v", response.StatusCode, len(content), content, err)
	}
}

// apply has gateway serve a configuration.
func apply(t testing.TB, gateway Gateway, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "postern.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if problem := gateway.Apply(file); problem != "" {
		t.Fatal(problem)
	}
}
