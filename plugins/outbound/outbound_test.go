package outbound

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/postern-gateway/postern/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rules(allow ...string) *config.PluginHTTP {
	return &config.PluginHTTP{
		Allow: allow, Methods: []string{"GET", "HEAD", "POST"}, MaxCalls: 8, MaxBytes: 1 << 20, Timeout: config.Duration(time.Minute), Private: true,
	}
}

func client(t testing.TB, o *config.PluginHTTP) *Client {
	t.Helper()
	c, err := New(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func begin(t testing.TB, c *Client) *Session {
	t.Helper()
	s := c.Begin(Asker{Context: context.Background(), Patience: time.Hour})
	t.Cleanup(func() { s.End() })
	return s
}

// ask sends one request and waits for all of the answer.
func ask(t testing.TB, c *Client, r *Request) (status int, content string, err error) {
	t.Helper()
	s := begin(t, c)
	reply, err := s.Send(r)
	if err != nil {
		return 0, "", err
	}
	if err := reply.Wait(); err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(reply)
	return reply.Status(), string(b), err
}

// serve starts a server that says what it got.
func serve(t testing.TB) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Got", r.Header.Get("X-Sent"))
		w.Header().Add("X-Two", "a")
		w.Header().Add("X-Two", "b")
		fmt.Fprintf(w, "%s %s %s %s %d", r.Method, r.Host, r.RequestURI, body, r.ContentLength)
	}))
	t.Cleanup(server.Close)
	return server
}

// raw starts a server that sends text to whoever connects, and then hangs until
// the test's end, or closes if stop.
func raw(t testing.TB, text string, stop bool) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, text)
				if !stop {
					<-done
				}
			}()
		}
	}()
	t.Cleanup(func() {
		close(done)
		_ = l.Close()
		<-ended
	})
	return "http://" + l.Addr().String()
}

func TestRequest(t *testing.T) {
	server := serve(t)
	c := client(t, rules(server.URL))
	s := begin(t, c)
	content := []byte("content")
	reply, err := s.Send(&Request{Method: "POST", URL: server.URL + "/a%2Fb/../c?q=1&r#f", Header: "X-Sent: it \nAccept: */*\n", Content: content})
	copy(content, "CHANGED") // Send has its own
	if err != nil {
		t.Fatal(err)
	}
	if err := reply.Wait(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(reply)
	want := "POST " + strings.TrimPrefix(server.URL, "http://") + " /a%2Fb/../c?q=1&r content 7"
	if string(b) != want || err != nil || reply.Status() != 200 {
		t.Errorf("%d %q, %v; want %q", reply.Status(), b, err, want)
	}
	if v, _ := reply.Field("x-got"); v != "it" {
		t.Errorf("X-Got: %q", v)
	}
	if v, found := reply.Field("x-two"); v != "b" || !found {
		t.Errorf("the last X-Two is %q", v)
	}
	if _, found := reply.Field("x-none"); found {
		t.Error("there is X-None")
	}
	for i := 1; i < len(reply.Fields()); i++ {
		if reply.Fields()[i-1].Name > reply.Fields()[i].Name {
			t.Errorf("fields aren't in order: %v", reply.Fields())
		}
	}
	if n, err := reply.Read(make([]byte, 4)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	if f := s.End(); f != (Figures{Requests: 1, Sent: 7, Received: int64(len(want))}) {
		t.Errorf("figures %+v", f)
	}
	if status, text, err := ask(t, c, &Request{Method: "HEAD", URL: server.URL}); status != 200 || text != "" || err != nil {
		t.Errorf("HEAD: %d, %q, %v", status, text, err)
	}
}

// What the rules don't allow, in all its disguises.
func TestRefusedRequests(t *testing.T) {
	c := client(t, rules("https://api.example.com", "http://10.0.0.5:8080", "https://*.example.org", "http://[::1]:99"))
	f := func(method, url, header string, want error) {
		t.Helper()
		if _, err := begin(t, c).Send(&Request{Method: method, URL: url, Header: header}); !errors.Is(err, want) {
			t.Errorf("%s %s %q: %v, want %v", method, url, header, err, want)
		}
	}
	denied := func(url string) { t.Helper(); f("GET", url, "", ErrDenied) }
	malformed := func(url string) { t.Helper(); f("GET", url, "", ErrMalformed) }
	denied("http://api.example.com/") // another scheme
	denied("https://api.example.com:8443/")
	denied("https://api.example.com.evil.test/")
	denied("https://evilapi.example.com/")
	denied("https://example.org/") // "*." is what is below it
	denied("https://example.org.evil.test/")
	denied("https://evilexample.org/")
	denied("http://10.0.0.5/")
	denied("http://10.0.0.50:8080/")
	denied("http://127.0.0.1/")
	denied("http://[::1]/")
	denied("http://[::ffff:10.0.0.5]/")
	// User names that look like hosts, and hosts that look like user names.
	malformed("https://api.example.com@evil.test/")
	malformed("https://api.example.com:443@evil.test/")
	malformed("https://evil.test@api.example.com/")
	malformed("https://@api.example.com/")
	malformed(`https://evil.test\@api.example.com/`)
	malformed(`https://api.example.com\.evil.test/`)
	denied("https://evil.test#@api.example.com/")
	denied("https://evil.test?@api.example.com/")
	denied("https://evil.test/@api.example.com/")
	malformed("https://api.example.com%2eevil.test/")
	malformed("https://api.example.com%00.evil.test/")
	// Addresses in forms that only some resolvers know.
	malformed("http://167772165:8080/")
	malformed("http://0x0a000005:8080/")
	malformed("http://012.0.0.5:8080/")
	malformed("http://10.5:8080/")
	malformed("http://0xa.0.0.5:8080/")
	malformed("http://[::1%25lo]:99/")
	malformed("http://[::1/")
	malformed("http://１０.0.0.5:8080/")
	malformed("http://10。0.0.5:8080/")
	// No URL of ours at all.
	malformed("//api.example.com/")
	malformed("/path")
	malformed("")
	malformed("https:api.example.com")
	malformed("https:///path")
	malformed("https://api.example.com:0/")
	malformed("https://api.example.com:99999/")
	malformed("file:///etc/passwd")
	malformed("gopher://api.example.com/")
	malformed("https://api.example.com/a b")
	malformed("https://api.example.com/\r\nX: y")
	malformed("https://api.example.com/\x00")
	malformed("https://api.example.com/%zz")
	f("GET", "https://api.example.com/"+strings.Repeat("a", maxURL), "", ErrLimit)
	f("PUT", "https://api.example.com/", "", ErrDenied)
	f("get", "https://api.example.com/", "", ErrDenied)
	f("CONNECT", "https://api.example.com/", "", ErrDenied)
	f("G ET", "https://api.example.com/", "", ErrMalformed)
	f("GET / HTTP/1.1\r\nX:", "https://api.example.com/", "", ErrMalformed)
	f("", "https://api.example.com/", "", ErrMalformed)
	for _, name := range []string{"Host", "connection", "Transfer-Encoding", "Content-Length", "TE", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Connection", "Expect"} {
		f("GET", "https://api.example.com/", name+": x", ErrDenied)
	}
	for _, line := range []string{"no colon", ": no name", "a b: c", "a: b\rc: d", "a: \x00", "a : b", " a: b", "a\x7f: b"} {
		f("GET", "https://api.example.com/", line+"\n", ErrMalformed)
	}
	f("GET", "https://api.example.com/", strings.Repeat("a: b\n", maxFields+1), ErrLimit)
	f("GET", "https://api.example.com/", "a: "+strings.Repeat("b", maxFieldText), ErrLimit)
	if _, err := begin(t, c).Send(&Request{Method: "POST", URL: "https://api.example.com/", Content: make([]byte, 1<<20+1)}); !errors.Is(err, ErrLimit) {
		t.Errorf("too much content: %v", err)
	}
	// None of these is refused: nobody answers, which takes the session's end.
	for _, url := range []string{"HTTPS://API.Example.com:443/x", "https://a.b.example.org/", "https://api.example.com.", "http://[0:0::1]:99"} {
		s := begin(t, c)
		if _, err := s.Send(&Request{Method: "GET", URL: url, Header: "A: b\n\nCookie: x=y", Timeout: time.Nanosecond}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		s.End()
	}
}

func TestRefusedRules(t *testing.T) {
	f := func(want string, private bool, allow ...string) {
		t.Helper()
		o := rules(allow...)
		o.Private = private
		_, err := New(o, nil)
		var key *config.KeyError
		if !errors.As(err, &key) || key.Path[0] != "allow" || !strings.Contains(key.Text+key.Hint, want) {
			t.Errorf("%v: %v, want %q", allow, err, want)
		}
	}
	f("isn't the origin", true, "api.example.com")
	f("isn't http", true, "ftp://api.example.com")
	f("isn't the origin", true, "https://*")
	f("isn't the origin", true, "https://api.*.com")
	f("more than a scheme", true, "https://api.example.com/")
	f("more than a scheme", true, "https://api.example.com?x")
	f("user or password", true, "https://user@api.example.com")
	f("looks like an address", true, "http://2130706433")
	f("looks like an address", true, "http://0x7f.1")
	f("below an address", true, "http://*.10.0.0.1")
	f("private = true", false, "https://api.example.com", "http://127.0.0.1:80")
	f("private = true", false, "http://[::1]")
	f("private = true", false, "http://[::ffff:10.1.2.3]")
	f("private = true", false, "http://169.254.169.254")
	f("isn't an address that a server has", true, "http://0.0.0.0")
	f("isn't an address that a server has", true, "http://[ff02::1]")

	o := rules("https://api.example.com")
	o.Methods = []string{"GET", "CONNECT"}
	var key *config.KeyError
	if _, err := New(o, nil); !errors.As(err, &key) || fmt.Sprint(key.Path) != "[methods 1]" {
		t.Errorf("CONNECT: %v", err)
	}
	if _, err := New(rules("https://api.example.com"), []byte("no certificate")); !errors.As(err, &key) || key.Path[0] != "ca" {
		t.Errorf("bad certificates: %v", err)
	}
}

// names is a DNS server that answers for every name with each of these addresses
// in turn.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	go func() {
		defer close(ended)
		asked := 0
		for buffer := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Header.Response = true
			m.Additionals = nil
			addr := netip.MustParseAddr(addresses[asked%len(addresses)])
			header := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 0}
			switch {
			case m.Questions[0].Type == dnsmessage.TypeA && addr.Is4():
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
				asked++
			case m.Questions[0].Type == dnsmessage.TypeAAAA && addr.Is6():
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
				asked++
			}
			if b, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(b, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// A name whose address is private is refused when it's connected to, whatever it
// was before.
func TestNamesOfPrivateAddresses(t *testing.T) {
	server := serve(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	for _, address := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.1.2.3", "64:ff9b::7f00:1", "0.0.0.0"} {
		o := rules("http://rebind.example.com:" + port)
		o.Private = false
		c := client(t, o)
		c.dialer.Resolver = names(t, address)
		if _, _, err := ask(t, c, &Request{Method: "GET", URL: "http://rebind.example.com:" + port}); !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %v, want %v", address, err, ErrDenied)
		}
	}
	o := rules("http://rebind.example.com:"+port, "http://localhost:"+port)
	c := client(t, o)
	c.dialer.Resolver = names(t, "127.0.0.1")
	if status, _, err := ask(t, c, &Request{Method: "GET", URL: "http://rebind.example.com:" + port}); status != 200 {
		t.Errorf("with private = true: %d, %v", status, err)
	}
	o.Private = false
	if _, _, err := ask(t, client(t, o), &Request{Method: "GET", URL: "http://localhost:" + port}); !errors.Is(err, ErrDenied) {
		t.Errorf("localhost: %v", err)
	}
	// Not even then, what no server has.
	o.Private = true
	c = client(t, o)
	c.dialer.Resolver = names(t, "0.0.0.0")
	if _, _, err := ask(t, c, &Request{Method: "GET", URL: "http://rebind.example.com:" + port}); !errors.Is(err, ErrDenied) {
		t.Errorf("0.0.0.0: %v", err)
	}
}

// A redirect is an answer like any other, and the environment's proxy isn't used.
func TestNothingElseIsFollowed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	var hits atomic.Int32
	secret := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer secret.Close()
	server := httptest.NewServer(http.RedirectHandler(secret.URL, http.StatusFound))
	defer server.Close()
	c := client(t, rules(server.URL))
	s := begin(t, c)
	reply, err := s.Send(&Request{Method: "GET", URL: server.URL})
	if err != nil || reply.Wait() != nil || reply.Status() != 302 {
		t.Fatalf("got %v, status %d", err, reply.Status())
	}
	if to, _ := reply.Field("Location"); to != secret.URL || hits.Load() != 0 {
		t.Errorf("Location %q, %d followed", to, hits.Load())
	}
}

// Servers that are slow, that lie, or that send too much.
func TestBadServers(t *testing.T) {
	f := func(name, url string, limit time.Duration, head, content error) {
		t.Helper()
		o := rules(url)
		o.MaxBytes, o.Timeout = 1000, config.Duration(limit)
		s := begin(t, client(t, o))
		began := time.Now()
		reply, err := s.Send(&Request{Method: "GET", URL: url})
		if err != nil {
			t.Fatal(err)
		}
		err = reply.Wait()
		if head == nil && err == nil {
			_, err = io.ReadAll(reply)
			head = content
		}
		if !errors.Is(err, head) {
			t.Errorf("%s: %v, want %v", name, err, head)
		}
		if took := time.Since(began); took > limit+30*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		if f := s.End(); f.Failures != 1 {
			t.Errorf("%s: figures %+v", name, f)
		}
	}
	const long = 2 * time.Minute
	f("silence", raw(t, "", false), 100*time.Millisecond, ErrDeadline, nil)
	f("half a head", raw(t, "HTTP/1.1 200 OK\r\nContent-", false), 100*time.Millisecond, ErrDeadline, nil)
	f("half the content", raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false), 500*time.Millisecond, nil, ErrDeadline)
	f("goes away", raw(t, "", true), long, ErrUnavailable, nil)
	f("cut off", raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true), long, nil, ErrUnavailable)
	f("not HTTP", raw(t, "SSH-2.0-OpenSSH\r\n\r\n", true), long, ErrUnavailable, nil)
	f("long head", raw(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2*maxHead)+"\r\n\r\n", true), long, ErrUnavailable, nil)
	f("many heads", raw(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", maxHead)+"\r\n", true), long, ErrUnavailable, nil)
	f("two lengths", raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", true), long, ErrUnavailable, nil)
	f("switches", raw(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false), long, ErrUnavailable, nil)
	f("says it's large", raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", false), long, nil, ErrLimit)
	f("is large", raw(t, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 1001), false), long, nil, ErrLimit)
	f("endless chunks", raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 11), false), long, nil, ErrLimit)
	f("endless interim", raw(t, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 5000), false), long, ErrUnavailable, nil)

	o := rules("http://127.0.0.1:1")
	if _, _, err := ask(t, client(t, o), &Request{Method: "GET", URL: "http://127.0.0.1:1"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
	// What was there before the end can be read.
	o = rules(raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true))
	if _, text, err := ask(t, client(t, o), &Request{Method: "GET", URL: o.Allow[0]}); text != "half" || !errors.Is(err, ErrUnavailable) {
		t.Errorf("%q, %v", text, err)
	}
	// Exactly as much as there may be.
	o = rules(raw(t, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 1000), true))
	o.MaxBytes = 1000
	if _, text, err := ask(t, client(t, o), &Request{Method: "GET", URL: o.Allow[0]}); len(text) != 1000 || err != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// An answer that comes in small pieces is read in small pieces.
func TestPieces(t *testing.T) {
	next := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprint(w, i)
			w.(http.Flusher).Flush()
			<-next
		}
	}))
	defer server.Close()
	reply, err := begin(t, client(t, rules(server.URL))).Send(&Request{Method: "GET", URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	for i := range 3 {
		if n, err := reply.Read(b); n != 1 || err != nil || b[0] != byte('0'+i) {
			t.Fatalf("piece %d: %q, %v", i, b[:n], err)
		}
		next <- struct{}{}
	}
	if n, err := reply.Read(b); n != 0 || err != io.EOF {
		t.Errorf("the end: %d, %v", n, err)
	}
}

// Several requests are under way at once, no more than allowed, and the waiting
// of all together is bounded.
func TestSession(t *testing.T) {
	var together sync.WaitGroup
	together.Add(3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/meet" { // each waits for the others
			together.Done()
			together.Wait()
			return
		}
		<-r.Context().Done()
	}))
	defer server.Close()
	o := rules(server.URL)
	o.MaxCalls, o.Timeout = 4, config.Duration(time.Minute)
	c := client(t, o)
	s := begin(t, c)
	for range 3 {
		if _, err := s.Send(&Request{Method: "GET", URL: server.URL + "/meet"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := s.Reply(i + 1).Wait(); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	reply, err := s.Send(&Request{Method: "GET", URL: server.URL, Timeout: 50 * time.Millisecond})
	if err != nil || !errors.Is(reply.Wait(), ErrDeadline) {
		t.Errorf("its own timeout: %v", err)
	}
	if _, err := s.Send(&Request{Method: "GET", URL: server.URL}); !errors.Is(err, ErrLimit) {
		t.Errorf("the fifth: %v", err)
	}
	if s.Reply(0) != nil || s.Reply(5) != nil || s.Reply(-1) != nil {
		t.Error("there are replies to requests that weren't sent")
	}
	if f := s.End(); f.Requests != 4 || f.Failures != 1 {
		t.Errorf("figures %+v", f)
	}

	// All waiting together.
	s = c.Begin(Asker{Context: context.Background(), Patience: 100 * time.Millisecond})
	defer s.End()
	began := time.Now()
	for range 4 {
		reply, err := s.Send(&Request{Method: "GET", URL: server.URL})
		if err != nil || !errors.Is(reply.Wait(), ErrDeadline) {
			t.Errorf("got %v", err)
		}
	}
	if took := time.Since(began); took > 30*time.Second || s.Waited() < 100*time.Millisecond {
		t.Errorf("four waits took %v, told are %v", took, s.Waited())
	}
}

// Who leaves takes the requests along.
func TestLeave(t *testing.T) {
	var arrived atomic.Int32
	left := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		<-r.Context().Done()
		left <- struct{}{}
	}))
	defer server.Close()
	c := client(t, rules(server.URL))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, asker := range map[string]Asker{
		"gone": {Context: context.Background(), Gone: func() bool { return arrived.Load() > 0 }, Patience: time.Hour},
		"done": {Context: ctx, Patience: time.Hour},
	} {
		arrived.Store(0)
		s := c.Begin(asker)
		reply, err := s.Send(&Request{Method: "GET", URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		if name == "done" {
			go func() {
				for arrived.Load() == 0 {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
		}
		if err := reply.Wait(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		s.End()
		<-left
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	o := rules(server.URL)
	if _, _, err := ask(t, client(t, o), &Request{Method: "GET", URL: server.URL}); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	var authority bytes.Buffer
	_ = pem.Encode(&authority, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	c, err := New(o, authority.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, text, err := ask(t, c, &Request{Method: "GET", URL: server.URL}); text != "HTTP/1.1 " || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	// A handshake that never ends ends with the session.
	silent := raw(t, "", false)
	o = rules(strings.Replace(silent, "http:", "https:", 1))
	s := begin(t, client(t, o))
	if _, err := s.Send(&Request{Method: "GET", URL: o.Allow[0]}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if s.End(); time.Since(began) > 30*time.Second {
		t.Errorf("the end took %v", time.Since(began))
	}
}

// Connections serve again.
func TestReuse(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := client(t, rules(server.URL))
	for range 10 {
		if _, _, err := ask(t, c, &Request{Method: "GET", URL: server.URL}); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n > 2 {
		t.Errorf("%d connections for 10 requests", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	server := serve(b)
	c := client(b, rules(server.URL))
	r := &Request{Method: "GET", URL: server.URL + "/users/1", Header: "Authorization: Bearer x\n"}
	b.ReportAllocs()
	for b.Loop() {
		s := c.Begin(Asker{Context: context.Background(), Patience: time.Hour})
		reply, err := s.Send(r)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadAll(reply); err != nil {
			b.Fatal(err)
		}
		s.End()
	}
}

func FuzzTarget(f *testing.F) {
	c, err := New(rules("https://api.example.com", "http://10.0.0.5:8080", "https://*.example.org"), nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"https://api.example.com/x?y", "http://10.0.0.5:8080", "https://a@api.example.com", `https://evil\@api.example.com`, "https://x.example.org:443/%2f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := c.target(text)
		if err != nil {
			return
		}
		// Whoever reads the URL that is sent finds a host of the list.
		again, err := http.NewRequest("GET", u.String(), nil)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, u, err)
		}
		host := again.URL.Host
		if host != "api.example.com" && host != "10.0.0.5:8080" && !strings.HasSuffix(host, ".example.org") || again.URL.User != nil {
			t.Errorf("%q goes to %q", text, host)
		}
		if strings.ContainsAny(again.URL.RequestURI(), " \r\n\x00") {
			t.Errorf("%q has the target %q", text, again.URL.RequestURI())
		}
	})
}
