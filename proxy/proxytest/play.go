package proxytest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// player plays one scenario, line by line.
type player struct {
	// Set at construction.
	t       *testing.T
	file    string
	dir     string
	archive *txtar.Archive
	start   func(t *testing.T) Gateway

	line     line // being played, for failures
	backends map[string]*backend
	issuers  map[string]*issuer
	texts    map[string]string // what $NAME stands for besides backends
	gateway  Gateway
	loaded   bool
	host     string
	secure   *tls.Config // of the client; nil for cleartext
	listener string

	// What is being put together.
	backend *backend
	answers []*reply
	pending *request
	sentAt  line // of pending

	// What is being judged.
	conn     *client
	socket   *client // an open WebSocket
	keep     bool    // the next request goes on conn
	answer   *judge
	answered line // that brought answer
	cut      bool // the script expects a broken content
	took     time.Duration
	nothing  bool // the connection closed without an answer
	seen     *judge
	refusal  string // findings of a load that failed
}

// words are the language: each word with what it does.
func words() map[string]func(*player, line) error {
	return map[string]func(*player, line) error{
		"backend": (*player).declare, "answer": (*player).script, "raw": (*player).script,
		"hang": (*player).script, "cut": (*player).script,
		"close": (*player).modify, "tunnel": (*player).modify,
		"with": (*player).with, "content": (*player).content, "sign": (*player).sign,

		"host": (*player).setHost, "over": (*player).setTransport, "listener": (*player).setListener,
		"get": (*player).request, "head": (*player).request, "post": (*player).request, "put": (*player).request,
		"patch": (*player).request, "delete": (*player).request, "options": (*player).request,
		"request": (*player).request, "send": (*player).request, "reuse": (*player).reuse,
		"more": (*player).more, "next": (*player).next,

		"status": (*player).expect, "header": (*player).expect, "no-header": (*player).expect,
		"headers": (*player).expect, "body": (*player).expect, "json": (*player).expect,
		"trailer": (*player).expect, "truncated": (*player).expect, "took": (*player).expect,
		"nothing": (*player).expectNothing, "closed": (*player).expectClosed, "open": (*player).expectClosed,
		"upgrade": (*player).upgrade, "say": (*player).say, "hear": (*player).hear,
		"hangup": (*player).hangUp, "ends": (*player).ends, "note": (*player).note,

		"receives": (*player).receives, "saw": (*player).saw, "unseen": (*player).unseen,

		"certificate": (*player).certificate, "authority": (*player).signed, "client": (*player).signed,
		"issuer": (*player).issuer, "token": (*player).token,
		"guest":     (*player).guest,
		"published": (*player).published, "policy": (*player).policy,
		"reload": (*player).reload, "refused": (*player).refused,
		"finding": (*player).finding, "findings": (*player).finding,
	}
}

// composing reports whether word adds to the request before.
func composing(word string) bool { return word == "with" || word == "content" || word == "sign" }

// report fails the scenario and goes on.
func (p *player) report(err error) {
	p.t.Helper()
	shown := ""
	if p.answer != nil {
		shown = "\n\tthe answer was:\n" + p.answer.String()
	}
	p.t.Errorf("%s:%d: %s\n\t%v%s", p.file, p.line.number, p.line.word, err, shown)
}

// fatal fails the scenario and ends it.
func (p *player) fatal(err error) {
	p.t.Helper()
	p.report(err)
	p.t.FailNow()
}

func (p *player) close() {
	for _, c := range []*client{p.conn, p.socket} {
		if c != nil {
			c.close()
		}
	}
	if p.gateway != nil {
		p.gateway.Close()
	}
	for _, b := range p.backends {
		b.close()
	}
}

// finish ends the judgement of the answer before.
func (p *player) finish() {
	p.t.Helper()
	if p.answer == nil {
		return
	}
	p.line = p.answered
	if err := p.answer.finish(); err != nil {
		p.report(err)
	}
	if broken := p.answer.broken; broken != nil && !p.cut {
		p.report(fmt.Errorf("the content broke off: %w", broken))
	}
	p.answer, p.cut = nil, false
}

// declare starts a backend, or goes on with one.
func (p *player) declare(l line) error {
	name, rest, _ := strings.Cut(l.rest, " ")
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(name) {
		return fmt.Errorf("%q is no name for a backend", name)
	}
	p.backend, p.answers = p.backends[name], nil
	if p.backend != nil {
		return nil
	}
	var secure *tls.Config
	if cert, found := strings.CutPrefix(rest, "tls "); found {
		cert, authority, asks := strings.Cut(cert, " asks ")
		pair, err := tls.LoadX509KeyPair(filepath.Join(p.dir, cert+".crt"), filepath.Join(p.dir, cert+".key"))
		if err != nil {
			return err
		}
		secure = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
		if asks {
			if secure.ClientCAs, err = p.authorities(authority + ".crt"); err != nil {
				return err
			}
			secure.ClientAuth = tls.RequireAndVerifyClientCert
		}
	} else if rest != "" {
		return fmt.Errorf("don't understand %q", rest)
	}
	b, err := startBackend(name, secure)
	if err != nil {
		return err
	}
	p.backends[name], p.backend = b, b
	return nil
}

// script adds an answer to the backend that was declared last.
func (p *player) script(l line) error {
	if p.backend == nil {
		return errors.New("no backend before")
	}
	a := &reply{}
	switch l.word {
	case "answer":
		a.status = l.rest
		if !strings.Contains(a.status, " ") {
			a.status += " Scripted"
		}
	case "raw":
		text, err := exact(p.expand(repeat(l.rest)))
		if err != nil {
			return err
		}
		a.raw = text
	case "hang":
		a.hang = true
	case "cut":
		a.cut = true
	}
	p.pending = nil
	p.answers = append(p.answers, a)
	p.backend.script(p.answers)
	return nil
}

func (p *player) modify(l line) error {
	if len(p.answers) == 0 {
		return errors.New("no answer before")
	}
	a := p.answers[len(p.answers)-1]
	a.close = a.close || l.word == "close"
	a.tunnel = a.tunnel || l.word == "tunnel"
	return nil
}

// with adds a field to the request or the answer before.
func (p *player) with(l line) error {
	name, value, found := strings.Cut(p.expand(repeat(l.rest)), ":")
	if !found {
		return fmt.Errorf("%q is no NAME: VALUE", l.rest)
	}
	f := field{name: name, value: strings.TrimSpace(value)}
	switch {
	case p.pending != nil:
		p.pending.fields = append(p.pending.fields, f)
	case len(p.answers) > 0:
		a := p.answers[len(p.answers)-1]
		a.fields = append(a.fields, f)
	default:
		return errors.New("neither a request nor an answer before")
	}
	return nil
}

func (p *player) content(l line) error {
	text := p.expand(repeat(l.rest))
	switch {
	case p.pending != nil:
		p.pending.content = text
	case len(p.answers) > 0:
		p.answers[len(p.answers)-1].content = text
	default:
		return errors.New("neither a request nor an answer before")
	}
	return nil
}

func (p *player) setHost(l line) error {
	p.host = l.rest
	return nil
}

func (p *player) setListener(l line) error {
	p.listener = l.rest
	return nil
}

// authorities returns the certificates of the files that fit pattern.
func (p *player) authorities(pattern string) (*x509.CertPool, error) {
	all := x509.NewCertPool()
	files, err := filepath.Glob(filepath.Join(p.dir, pattern))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all.AppendCertsFromPEM(pem)
	}
	return all, nil
}

// setTransport chooses TLS or cleartext for the requests that follow. The
// client trusts every certificate of the scenario.
func (p *player) setTransport(l line) error {
	rest, own, shows := strings.Cut(l.rest, " as ")
	switch name, sni, _ := strings.Cut(rest, " "); name {
	case "http":
		p.secure = nil
	case "tls":
		trusted, err := p.authorities("*.crt")
		if err != nil {
			return err
		}
		p.secure = &tls.Config{RootCAs: trusted, ServerName: sni, NextProtos: []string{"http/1.1"}}
		if shows {
			pair, err := tls.LoadX509KeyPair(filepath.Join(p.dir, own+".crt"), filepath.Join(p.dir, own+".key"))
			if err != nil {
				return err
			}
			// Whoever the gateway says it trusts: what isn't good is to be seen, too.
			p.secure.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
	default:
		return fmt.Errorf("%q is neither tls nor http", name)
	}
	return nil
}

// request begins a request; flush sends it.
func (p *player) request(l line) error {
	p.finish()
	p.load()
	p.answers = nil
	p.sentAt = l
	rest := p.expand(repeat(l.rest))
	switch l.word {
	case "send":
		text, err := exact(rest)
		if err != nil {
			return err
		}
		verb, _, _ := strings.Cut(text, " ")
		p.pending = &request{exact: true, raw: text, verb: verb}
	case "request":
		verb, target, found := strings.Cut(rest, " ")
		if !found {
			return errors.New("needs a verb and a target")
		}
		p.pending = &request{verb: verb, target: target}
	default:
		p.pending = &request{verb: strings.ToUpper(l.word), target: rest}
	}
	return nil
}

func (p *player) reuse(line) error {
	if p.conn == nil {
		return errors.New("no connection is open")
	}
	p.keep = true
	return nil
}

// flush sends the request that was being put together and reads the answer.
func (p *player) flush() {
	p.t.Helper()
	if p.pending == nil {
		return
	}
	r := p.pending
	p.pending = nil
	p.line = p.sentAt
	if !p.keep {
		p.connect()
	}
	p.keep = false
	if err := p.conn.send(r.bytes(p.defaultHost())); err != nil {
		p.fatal(err)
	}
	p.receive(r.verb)
}

func (p *player) connect() {
	p.t.Helper()
	if p.conn != nil {
		p.conn.close()
	}
	addr := p.gateway.Addr(p.listener)
	if addr == "" {
		p.fatal(fmt.Errorf("no listener %q", p.listener))
	}
	secure := p.secure
	if secure != nil && secure.ServerName == "" {
		secure = secure.Clone()
		secure.ServerName = p.defaultHost()
	}
	c, err := dial(addr, secure)
	if err != nil {
		p.fatal(err)
	}
	p.conn = c
}

func (p *player) receive(verb string) {
	p.t.Helper()
	m, took, err := p.conn.receive(verb)
	p.took, p.nothing = took, false
	if errors.Is(err, errNothing) {
		p.answer, p.nothing = nil, true
		return
	}
	if err != nil {
		p.answer = nil
		p.fatal(err)
	}
	p.answer, p.answered = newJudge(m), p.line
}

func (p *player) more(l line) error {
	p.finish()
	if p.conn == nil {
		return errors.New("no connection is open")
	}
	text, err := exact(p.expand(repeat(l.rest)))
	if err != nil {
		return err
	}
	return p.conn.send(text)
}

func (p *player) next(l line) error {
	p.finish()
	if p.conn == nil {
		return errors.New("no connection is open")
	}
	p.receive(l.rest)
	return nil
}

// expect judges the answer.
func (p *player) expect(l line) error {
	if l.word == "took" && (p.answer != nil || p.nothing) {
		return within(p.took, l.rest)
	}
	if p.answer == nil {
		if p.nothing {
			p.fatal(errNothing)
		}
		return errors.New("no request before")
	}
	switch l.word {
	case "status":
		if want, err := strconv.Atoi(l.rest); err != nil || p.answer.status() != want {
			return differs("status", strconv.Itoa(p.answer.status()), l.rest)
		}
		return nil
	case "truncated":
		p.cut = true
		if p.answer.broken == nil {
			return errors.New("the content came to its end")
		}
		return nil
	}
	return p.answer.check(l.word, p.expand(l.rest))
}

// check compares one property of a message.
func (j *judge) check(word, text string) error {
	switch word {
	case "header":
		return j.header(text)
	case "no-header":
		return j.noHeader(text)
	case "headers":
		return j.headers(text)
	case "body":
		return j.content(text)
	case "json":
		return j.json(text)
	case "trailer":
		return j.trailer(text)
	}
	return fmt.Errorf("unknown word %q", word)
}

// within compares a duration with "MIN..MAX".
func within(took time.Duration, text string) error {
	low, high, found := strings.Cut(text, "..")
	if !found {
		return fmt.Errorf("%q is no MIN..MAX", text)
	}
	least, err := time.ParseDuration(low)
	if err != nil {
		return err
	}
	most, err := time.ParseDuration(high)
	if err != nil {
		return err
	}
	if took < least || took > most {
		return differs("time", took.String(), text)
	}
	return nil
}

func (p *player) expectNothing(line) error {
	if p.answer != nil {
		return errors.New("there is an answer")
	}
	if !p.nothing {
		return errors.New("no request before")
	}
	return nil
}

// expectClosed judges the connection after the answer.
func (p *player) expectClosed(l line) error {
	if p.conn == nil {
		return errors.New("no connection is open")
	}
	wait := patience
	if l.word == "open" {
		wait = 50 * time.Millisecond // a connection that is to be closed is closed with the answer
	}
	closed, err := p.conn.closed(wait)
	if err != nil {
		return err
	}
	if closed != (l.word == "closed") {
		return fmt.Errorf("the connection is closed: %v", closed)
	}
	return nil
}

func (p *player) receives(l line) error {
	if p.conn == nil {
		return errors.New("no connection is open")
	}
	want, err := unescape(p.expand(l.rest))
	if err != nil {
		return err
	}
	if got, err := p.conn.exactly(len(want)); got != want {
		return differs("bytes", fmt.Sprintf("%q (%v)", got, err), strconv.Quote(want))
	}
	return nil
}

// saw judges what a backend got.
func (p *player) saw(l line) error {
	what, rest, _ := strings.Cut(l.rest, " ")
	b := p.backends[what]
	if b == nil {
		if p.seen == nil {
			return fmt.Errorf("no backend %q, and no request of one before", what)
		}
		if err := p.seen.check(what, p.expand(rest)); err != nil {
			return fmt.Errorf("%w\n\tthe backend got:\n%s", err, p.seen)
		}
		return nil
	}
	p.seen = nil
	m := b.request(patience)
	if m == nil {
		p.fatal(fmt.Errorf("backend %s got no request", what))
	}
	p.seen = newJudge(m)
	verb, target, _ := strings.Cut(p.expand(repeat(rest)), " ")
	if want := verb + " " + target + " HTTP/1.1"; m.first != want {
		return differs("request of "+what, m.first, want)
	}
	return nil
}

func (p *player) unseen(l line) error {
	b := p.backends[l.rest]
	if b == nil {
		return fmt.Errorf("no backend %q", l.rest)
	}
	if m := b.request(0); m != nil {
		return fmt.Errorf("backend %s got:\n%s", l.rest, m)
	}
	return nil
}
