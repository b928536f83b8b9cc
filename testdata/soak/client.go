package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// fleet is all clients.
type fleet struct {
	options    *options
	address    string
	tally      *tally
	generation *atomic.Int64
	paused     chan struct{} // closed to pause
	working    sync.WaitGroup
	round      uint64
}

func newFleet(o *options, address string, t *tally, generation *atomic.Int64) *fleet {
	return &fleet{options: o, address: address, tally: t, generation: generation}
}

// resume starts the clients.
func (f *fleet) resume() {
	paused := make(chan struct{})
	f.paused = paused
	f.round++
	for i := range f.options.workers {
		dice := rand.New(rand.NewPCG(f.options.seed, f.round<<32|uint64(i+1)))
		f.working.Go(func() { f.work(paused, i, dice) })
	}
	for i := range max(1, f.options.workers/8) {
		f.working.Go(func() { f.chat(paused, i) })
	}
}

// pause lets the clients finish what they are at and leave.
func (f *fleet) pause() {
	if f.paused != nil {
		close(f.paused)
		f.paused = nil
	}
	f.working.Wait()
}

// act is something that a client does. It returns an error when the gateway did
// what it mustn't.
type act struct {
	name  string
	often int
	do    func(c *client, id string, dice *rand.Rand) error
}

func acts() []act {
	all := []act{
		{"echo", 40, func(c *client, id string, dice *rand.Rand) error { return c.echo("/prod/echo", id, dice) }},
		{"echo past a plugin", 15, func(c *client, id string, dice *rand.Rand) error { return c.echo("/prod/gate", id, dice) }},
		{"mock", 10, (*client).mock},
		{"pipeline", 6, (*client).pipeline},
		{"half-close", 4, (*client).halfClose},
		{"leave", 4, (*client).leave},
		{"reset", 3, (*client).reset},
		{"drip a head", 1, (*client).drip},
		{"drip a head for ever", 1, (*client).stall},
		{"no HTTP", 3, (*client).nonsense},
		{"leave while a backend stalls", 1, (*client).leaveEarly},
		{"plugin traps", 5, expect("/prod/trap", 500)},
		{"plugin loops", 3, expect("/prod/loop", 500, 504)},
		{"backend closed", 4, expect("/prod/closed", 502)},
	}
	for how, statuses := range map[string][]int{
		"reset": {502}, "close": {502}, "garbage": {502}, "both": {502}, "stall": {504},
		"middle": {200, cut}, "short": {200, cut}, "chunk": {200, cut, 502}, "long": {200}, "drip": {200}, "early": {200}, "inform": {200},
	} {
		all = append(all, act{"backend: " + how, 2, expect("/prod/bad/"+how, statuses...)})
	}
	return all
}

// work does one act after the other.
func (f *fleet) work(paused <-chan struct{}, who int, dice *rand.Rand) {
	all := acts()
	total := 0
	for _, a := range all {
		total += a.often
	}
	c := &client{address: f.address}
	defer c.drop()
	for n := 0; ; n++ {
		select {
		case <-paused:
			return
		case <-time.After(time.Duration(dice.IntN(4000)) * time.Microsecond):
		}
		pick := dice.IntN(total)
		for _, a := range all {
			if pick -= a.often; pick < 0 {
				began := time.Now()
				err := a.do(c, fmt.Sprintf("w%d-%d-%d", f.round, who, n), dice)
				if err != nil {
					err = fmt.Errorf("%w (after %v, on a connection with %q)", err, time.Since(began), c.story)
				}
				c.story = append(c.story, a.name)
				f.tally.note(a.name, err)
				break
			}
		}
	}
}

// client is a client with a kept connection, which repeats nothing.
type client struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	used    time.Time
	story   []string // what was done on the connection before
}

// A gateway that drains may close a connection that is idle for two seconds.
const longestIdle = time.Second

func (c *client) dial() error {
	if c.conn != nil && time.Since(c.used) < longestIdle {
		return nil
	}
	c.drop()
	conn, err := net.DialTimeout("tcp", c.address, patience)
	if err != nil {
		return err
	}
	c.conn, c.in, c.used = conn, bufio.NewReader(conn), time.Now()
	c.story = nil
	return conn.SetDeadline(time.Now().Add(10 * time.Minute)) // no read is for ever
}

func (c *client) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// do sends a request and returns the answer with its content.
func (c *client) do(request, method string) (*http.Response, string, error) {
	if err := c.dial(); err != nil {
		return nil, "", err
	}
	if _, err := io.WriteString(c.conn, request); err != nil {
		c.drop()
		return nil, "", err
	}
	return c.answer(method)
}

// answer reads one answer.
func (c *client) answer(method string) (*http.Response, string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, "", err
	}
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	for err == nil && resp.StatusCode < 200 {
		resp, err = http.ReadResponse(c.in, &http.Request{Method: method})
	}
	if err != nil {
		c.drop()
		return nil, "", err
	}
	text, err := io.ReadAll(resp.Body)
	c.used = time.Now()
	if err != nil || resp.Close {
		c.drop()
	}
	return resp, string(text), err
}

// post returns a request whose content begins with its id.
func post(path, id string, size int, chunked bool) (request, content string) {
	content = id + ";" + strings.Repeat(id, size/len(id))
	head := "POST " + path + " HTTP/1.1\r\nHost: soak.localhost\r\n" + idHeader + ": " + id + "\r\n"
	if !chunked {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(content), content), content
	}
	half := len(content) / 2
	return fmt.Sprintf("%sX-Soak-Chunked: 1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", head,
		half, content[:half], len(content)-half, content[half:]), content
}

// right checks that an answer is the one to the request.
func right(resp *http.Response, text, id, content string) error {
	if got := resp.Header.Get(idHeader); got != id {
		return fmt.Errorf("%s: status %d, the answer is that of %q: %.100q", id, resp.StatusCode, got, text)
	}
	if resp.StatusCode != 200 || text != content {
		return fmt.Errorf("%s: status %d, %d bytes, want %d: %.100q", id, resp.StatusCode, len(text), len(content), text)
	}
	return nil
}

func (c *client) echo(path, id string, dice *rand.Rand) error {
	sizes := []int{0, 100, 1000, 20_000, 300_000}
	request, content := post(path, id, sizes[min(dice.IntN(40)/8, 4)], dice.IntN(3) == 0)
	resp, text, err := c.do(request, "POST")
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return right(resp, text, id, content)
}

func (c *client) mock(id string, _ *rand.Rand) error {
	resp, text, err := c.do("GET /prod/version HTTP/1.1\r\nHost: soak.localhost\r\n\r\n", "GET")
	if err == nil && (resp.StatusCode != 200 || text == "") {
		err = fmt.Errorf("%s: status %d %q", id, resp.StatusCode, text)
	}
	return err
}

// pipeline sends several requests at once: their answers come in order.
func (c *client) pipeline(id string, dice *rand.Rand) error {
	c.drop()
	if err := c.dial(); err != nil {
		return err
	}
	var all strings.Builder
	var contents []string
	for i := range 2 + dice.IntN(6) {
		request, content := post("/prod/echo", fmt.Sprint(id, "p", i), dice.IntN(2000), dice.IntN(2) == 0)
		all.WriteString(request)
		contents = append(contents, content)
	}
	if _, err := io.WriteString(c.conn, all.String()); err != nil {
		return err
	}
	for i, content := range contents {
		resp, text, err := c.answer("POST")
		if err != nil {
			return fmt.Errorf("%s: answer %d: %w", id, i, err)
		}
		if err := right(resp, text, fmt.Sprint(id, "p", i), content); err != nil {
			return err
		}
		if resp.Close {
			// A gateway on its way out answers no more on this connection.
			return nil
		}
	}
	return nil
}

// halfClose ends its direction after the request: the answer still comes.
func (c *client) halfClose(id string, dice *rand.Rand) error {
	c.drop()
	defer c.drop()
	if err := c.dial(); err != nil {
		return err
	}
	request, content := post("/prod/echo", id, dice.IntN(5000), false)
	if _, err := io.WriteString(c.conn, request); err != nil {
		return err
	}
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	resp, text, err := c.answer("POST")
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // taken for a client that left, which it may be
	}
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return right(resp, text, id, content)
}

// leave goes in the middle of a request.
func (c *client) leave(id string, dice *rand.Rand) error {
	c.drop()
	defer c.drop()
	if err := c.dial(); err != nil {
		return err
	}
	request, _ := post("/prod/echo", id, 100_000, dice.IntN(2) == 0)
	_, _ = io.WriteString(c.conn, request[:dice.IntN(len(request))]) // nobody waits for an answer
	return nil
}

// reset goes without a good-bye while its answer comes.
func (c *client) reset(id string, _ *rand.Rand) error {
	c.drop()
	defer c.drop()
	if err := c.dial(); err != nil {
		return err
	}
	request, _ := post("/prod/echo", id, 300_000, false)
	_, _ = io.WriteString(c.conn, request) // nobody waits for an answer
	return c.conn.(*net.TCPConn).SetLinger(0)
}

// drip sends a head slowly, but in time.
func (c *client) drip(id string, dice *rand.Rand) error {
	c.drop()
	if err := c.dial(); err != nil {
		return err
	}
	request, content := post("/prod/echo", id, dice.IntN(1000), false)
	began := time.Now()
	for i := range 30 {
		if _, err := io.WriteString(c.conn, request[i:i+1]); err != nil {
			c.drop()
			if time.Since(began) > headerTime {
				return nil // as below
			}
			return fmt.Errorf("%s: cut off: %w", id, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(began)
	_, err := io.WriteString(c.conn, request[30:]) // on this connection, however old it is
	var resp *http.Response
	var text string
	if err == nil {
		resp, text, err = c.answer("POST")
	}
	switch {
	case took > headerTime: // on a machine that is so slow that it was a stall
		c.drop()
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", id, err)
	}
	return right(resp, text, id, content)
}

// headerTime is the configuration's header_timeout, less what a machine under
// load may be late.
const headerTime = 800 * time.Millisecond

// stall never finishes its head: it is told so, or cut off.
func (c *client) stall(id string, _ *rand.Rand) error {
	c.drop()
	defer c.drop()
	if err := c.dial(); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, "GET /prod/version HTTP/1.1\r\nHost: "); err != nil {
		return err
	}
	began := time.Now()
	resp, _, err := c.answer("GET")
	switch {
	// Who comes while one process has ended and the next one starts waits in the
	// socket's queue before the limit begins.
	case time.Since(began) > 5*time.Second+queued:
		return fmt.Errorf("%s: cut off after %v, the limit is 1s", id, time.Since(began))
	case err == nil && resp.StatusCode != http.StatusRequestTimeout:
		return fmt.Errorf("%s: status %d, want 408", id, resp.StatusCode)
	}
	return nil
}

// queued is how long a connection may wait for a process to take it: a drain, and
// the start of the next process.
const queued = 10 * time.Second

// nonsense isn't HTTP, or HTTP that two parsers could read in two ways.
func (c *client) nonsense(id string, dice *rand.Rand) error {
	c.drop()
	defer c.drop()
	all := []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"GET /prod/version HTTP/1.1\nHost: soak.localhost\n\n",
		"GET /prod/version HTTP/1.1\r\nHost: soak.localhost\r\nHost: other\r\n\r\n",
		"POST /prod/echo HTTP/1.1\r\nHost: soak.localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /prod/echo HTTP/1.1\r\nHost: soak.localhost\r\nContent-Length: 3, 4\r\n\r\nabc",
		"POST /prod/echo HTTP/1.1\r\nHost: soak.localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"GET /prod/version HTTP/1.1\r\nHost: soak.localhost\r\n folded: yes\r\n\r\n",
	}
	resp, text, err := c.do(all[dice.IntN(len(all))], "GET")
	if err == nil && (resp.StatusCode < 400 || resp.StatusCode >= 500) {
		return fmt.Errorf("%s: status %d, want a refusal: %.100q", id, resp.StatusCode, text)
	}
	if err == nil && !resp.Close {
		return fmt.Errorf("%s: the connection goes on after a refusal", id)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return nil
}

// leaveEarly goes while the backend is being waited for.
func (c *client) leaveEarly(id string, _ *rand.Rand) error {
	c.drop()
	defer c.drop()
	if err := c.dial(); err != nil {
		return err
	}
	request, _ := post("/prod/bad/stall", id, 10, false)
	_, err := io.WriteString(c.conn, request)
	time.Sleep(50 * time.Millisecond)
	return err
}

// cut stands for an answer that ends before its end.
const cut = 0

// expect asks for what goes wrong by intention: the answer has one of statuses.
func expect(path string, statuses ...int) func(*client, string, *rand.Rand) error {
	return func(c *client, id string, dice *rand.Rand) error {
		request, content := post(path, id, 50+dice.IntN(200), false)
		resp, text, err := c.do(request, "POST")
		status := cut
		if resp != nil && err == nil {
			status = resp.StatusCode
		}
		if resp != nil {
			if got := resp.Header.Get(idHeader); got != "" && got != id {
				return fmt.Errorf("%s: the answer is that of %q", id, got)
			}
		}
		if err == nil && status == 200 && text != content {
			return fmt.Errorf("%s: %d bytes, want %d: %.100q", id, len(text), len(content), text)
		}
		for _, want := range statuses {
			if status == want {
				return nil
			}
		}
		return fmt.Errorf("%s: status %d, want %d: %v", id, status, statuses, err)
	}
}

// chat keeps a WebSocket open over reloads. Only the end of its process may end
// it.
func (f *fleet) chat(paused <-chan struct{}, who int) {
	for n := 0; ; n++ {
		generation := f.generation.Load()
		err := f.converse(paused, fmt.Sprintf("chat%d-%d-%d", f.round, who, n))
		if err != nil && f.generation.Load() == generation {
			f.tally.note("WebSocket", err)
		}
		select {
		case <-paused:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// converse sends messages and checks that they come back, until the pause.
func (f *fleet) converse(paused <-chan struct{}, id string) error {
	c := &client{address: f.address}
	defer c.drop()
	if err := c.dial(); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, "GET /prod/echo HTTP/1.1\r\nHost: soak.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("%s: status %d, want 101", id, resp.StatusCode)
	}
	for n := 0; ; n++ {
		select {
		case <-paused:
			return nil
		case <-time.After(50 * time.Millisecond):
		}
		text := fmt.Sprintf("%s message %d", id, n)
		if err := c.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		if _, err := c.conn.Write(message(text, uint32(n)*2654435761)); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		got := make([]byte, 2+len(text))
		if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := io.ReadFull(c.in, got); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		if string(got[2:]) != text {
			return fmt.Errorf("%s: got %q, want %q", id, got[2:], text)
		}
		f.tally.note("WebSocket", nil)
	}
}
