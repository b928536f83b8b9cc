package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// fleet is a network of servers in memory, for tests in a bubble of
// testing/synctest, where time passes only when everybody waits.
type fleet struct {
	t    *testing.T
	set  *Set
	work sync.WaitGroup

	mu      sync.Mutex // guards what follows, and the servers
	servers map[string]*server
	names   map[string]string // host → addresses, separated by spaces; or "!" and an error
	records map[string][]*net.SRV
	asked   int
}

// server is one of a fleet.
type server struct {
	dead   bool            // refuses connections
	lost   bool            // doesn't even refuse connections
	mute   bool            // answers nothing
	drip   []time.Duration // pauses, each before one byte of content without a length
	status int
	header string        // of the answer, "Name: value"
	gate   chan struct{} // nil, or what each answer waits for

	requests int
	checks   int    // requests for /health
	head     string // of the last check
	open     int
	most     int // open at the same time
}

// newFleet starts servers at these addresses, IP:port, that answer 200.
func newFleet(t *testing.T, addresses ...string) *fleet {
	f := &fleet{t: t, servers: map[string]*server{}, names: map[string]string{}, records: map[string][]*net.SRV{}}
	for _, a := range addresses {
		f.servers[a] = &server{status: 200}
	}
	f.set = NewSet(Options{Logger: zap.NewNop(), Poison: true, Dial: f.dial, Resolve: f.resolve, ResolveSRV: f.resolveSRV})
	t.Cleanup(func() {
		f.set.Close()
		f.work.Wait()
	})
	return f
}

func (f *fleet) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	s := f.servers[to.String()]
	if s != nil && s.lost {
		f.mu.Unlock()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	defer f.mu.Unlock()
	if s == nil || s.dead {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	s.open++
	s.most = max(s.most, s.open)
	f.work.Go(func() {
		f.serve(s, theirs)
		theirs.Close()
	})
	return &counted{Conn: ours, fleet: f, server: s}, nil
}

// counted is our end of a connection.
type counted struct {
	net.Conn
	fleet  *fleet
	server *server
	closed bool
}

func (c *counted) Close() error {
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.server.open--
	}
	return c.Conn.Close()
}

func (f *fleet) serve(s *server, conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		head := readHead(r)
		if head == "" {
			return
		}
		f.mu.Lock()
		check := strings.HasPrefix(head, "GET /health ")
		if check {
			s.checks++
			s.head = head
		} else {
			s.requests++
		}
		mute, gate, drip := s.mute, s.gate, s.drip
		answer := "HTTP/1.1 " + strconv.Itoa(s.status) + " X\r\nContent-Length: 2\r\n" + s.header + "\r\nok"
		f.mu.Unlock()
		if mute {
			io.Copy(io.Discard, r) // until the other side gives up
			return
		}
		if gate != nil && !check {
			<-gate
		}
		if drip != nil {
			answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
		for _, pause := range drip {
			time.Sleep(pause)
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
		}
		if drip != nil {
			return
		}
	}
}

func (f *fleet) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	text, found := f.names[host]
	if !found || strings.HasPrefix(text, "!") {
		return nil, &net.DNSError{Err: "no such host" + text, Name: host, IsNotFound: !found}
	}
	var all []netip.Addr
	for _, a := range strings.Fields(text) {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, nil
}

func (f *fleet) resolveSRV(_ context.Context, name string) ([]*net.SRV, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.records[name] == nil {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return f.records[name], nil
}

// name makes host stand for addresses, separated by spaces, or fail with "!".
func (f *fleet) name(host, addresses string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names[host] = addresses
}

// service makes records what name stands for.
func (f *fleet) service(name string, records ...*net.SRV) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[name] = records
}

// change calls do with the server at address.
func (f *fleet) change(address string, do func(*server)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(f.servers[address])
}

// look returns a copy of the server at address.
func (f *fleet) look(address string) server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *f.servers[address]
}

// options are a backend's with the defaults of the configuration, for targets.
func options(change func(*config.Backend), targets ...string) *config.Backend {
	cfg, findings := config.Parse("postern.toml", []byte("[listen.a]\naddress = \":1\"\n[backend.pets]\n"+
		"[api.a]\ntype = \"rest\"\n[api.a.route.\"GET /\"]\nintegration = { type = \"http_proxy\", url = \"http://a/\", backend = \"pets\" }\n[api.a.stage.a]\n"))
	if findings.Failed() {
		panic(findings.Text())
	}
	o := cfg.Backend["pets"]
	for _, t := range targets {
		o.Targets = append(o.Targets, config.Target{Address: t, Weight: 1})
	}
	if change != nil {
		change(&o)
	}
	return &o
}

// backend makes the backend with these options the fleet's only one.
func (f *fleet) backend(o *config.Backend) *backend {
	f.t.Helper()
	g := f.set.Begin()
	b, err := g.Backend("http://pets.internal", o)
	if err != nil {
		f.t.Fatal(err)
	}
	g.Commit()
	return b.(*backend)
}

// get sends a GET and returns its target and what became of it: "200", or the
// name of a fault.
func (f *fleet) get(b *backend) (target, result string) {
	f.t.Helper()
	ex := request("GET", "")
	ex.Out.Timeout = time.Minute
	defer ex.End()
	err := b.Send(context.Background(), ex)
	if err != nil {
		var fault proxy.Fault
		if !errors.As(err, &fault) {
			f.t.Errorf("%v isn't a fault", err)
		}
		return ex.Notes.Target, fault.Kind.String()
	}
	body(f.t, ex)
	return ex.Notes.Target, strconv.Itoa(ex.Back.Status)
}

// counts sends n requests and returns how many went to each target well. Other
// results are counted by their names.
func (f *fleet) counts(b *backend, n int) map[string]int {
	f.t.Helper()
	all := map[string]int{}
	for range n {
		target, result := f.get(b)
		if result != "200" {
			target = result
		}
		all[target]++
	}
	return all
}

// same reports got differing from want, which is written "key=count …".
func same(t *testing.T, what string, got map[string]int, want string) {
	t.Helper()
	n := 0
	for _, pair := range strings.Fields(want) {
		key, count, _ := strings.Cut(pair, "=")
		if strconv.Itoa(got[key]) != count {
			t.Errorf("%s: got %v, want %s", what, got, want)
			return
		}
		n++
	}
	if n != len(got) {
		t.Errorf("%s: got %v, want %s", what, got, want)
	}
}

const one, two, three = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"

// bubble runs f with time that passes only when everybody waits.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

func seconds(n float64) config.Duration {
	return config.Duration(time.Duration(n * float64(time.Second)))
}
