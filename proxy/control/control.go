// Package control is the operator's side of the gateway: health, metrics,
// profiles and the masked configuration, on a unix socket or on loopback.
package control

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/shadow"
	"github.com/postern-gateway/postern/proxy/usage"
	"github.com/postern-gateway/postern/proxy/websocket"
)

// Off as an address is no listener.
const Off = "off"

// Options are what an admin server shows.
type Options struct {
	Logger   *zap.Logger          // nil for none
	Registry *prometheus.Registry // what /metrics shows; required
	Status   *Status              // required

	Config       func() ([]byte, error) // the masked configuration as JSON; nil: none yet
	Connections  func() Connections     // nil: not shown
	Plugins      func() []Plugin        // nil: not shown
	Namespaces   func() []Namespace     // nil: not shown
	Backends     func() []Backend       // nil: not shown
	Issuers      func() []Issuer        // nil: not shown
	Certificates func() []Certificate   // nil: not shown
	Overload     func() Overload        // nil: not shown, and no reason to be unready
	Missing      func() Missing         // certificates of domains; nil: no reason to be unready

	// Domains has the certificates of domains. nil: nobody can ask.
	Domains *certificate.Keeper

	// Usage returns what knows of API keys and plans, with its state open. nil: nobody
	// can ask.
	Usage        func() (*usage.Ledger, error)
	UsageFigures func() usage.Figures // nil: not shown

	// Deployments is who deploys. nil: nobody can ask.
	Deployments Deployments
	// Audit is told of each change that somebody asked for. nil: nobody is.
	Audit func(Change)

	// Tags returns the stages' tags; nil: they aren't shown.
	Tags func() []Tag
	// Shadows returns what became of the copies that shadows got; nil: nobody can ask.
	Shadows func() []shadow.Report

	Caches Caches // the stages' caches; nil: nobody can ask

	// Sockets has the connections of WebSocket APIs. nil: nobody can ask.
	Sockets *websocket.Hub

	// Tracing shows what becomes of a request. nil: nobody can ask.
	Tracing Tracing

	// Inherited returns a socket at address that another process listens on
	// too, nil for none. It stays the caller's. nil: there are none.
	Inherited func(address string) *os.File
}

// Server is the admin listener. Its methods are safe for concurrent use.
type Server struct {
	options Options
	mux     *http.ServeMux
	paths   []string            // what a 404 offers
	methods map[string][]string // besides GET and HEAD, by path

	tokens      atomic.Pointer[map[string]Token] // by digest
	certificate atomic.Pointer[tls.Certificate]  // nil: TCP addresses are cleartext

	mu      sync.Mutex // guards what follows
	address string     // as configured
	socket  net.Listener
	server  *http.Server
	bound   net.Addr
	ended   chan struct{}
}

// New returns a server that doesn't listen yet. It fails when the registry has
// its metrics already.
func New(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.Status.watch(o.Overload, o.Missing)
	if err := register(o); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s := &Server{options: o, mux: http.NewServeMux(), methods: map[string][]string{}, address: Off}
	s.offer("/health/live", s.live)
	s.offer("/health/ready", s.ready)
	s.offer("/metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{
		Registry: o.Registry, MaxRequestsInFlight: 4, Timeout: 30 * time.Second,
	}).ServeHTTP)
	s.offer("/config", s.config)
	s.offer("/debug/pprof/", pprof.Index)
	s.offer("/debug/pprof/cmdline", pprof.Cmdline)
	s.offer("/debug/pprof/profile", pprof.Profile)
	s.offer("/debug/pprof/symbol", pprof.Symbol)
	s.offer("/debug/pprof/trace", pprof.Trace)
	if o.Usage != nil {
		s.offerKeys()
	}
	if o.Domains != nil {
		s.offerDomains()
		s.offerAuthorities()
	}
	if o.Deployments != nil {
		s.offerDeployments()
	}
	if o.Shadows != nil {
		s.offerShadows()
	}
	if o.Caches != nil {
		s.offerCaches()
	}
	if o.Sockets != nil {
		s.offerSockets()
	}
	s.offer("/openapi.json", s.openAPI)
	if o.Tracing != nil {
		s.offerTraces()
	}
	s.mux.HandleFunc("/", s.notFound)
	return s, nil
}

func (s *Server) offer(path string, answer http.HandlerFunc) {
	s.paths = append(s.paths, path)
	s.mux.HandleFunc("GET "+path, answer)
}

// Listen makes address the one to listen on: "unix:PATH", "host:port", or Off. What
// isn't a loopback address needs a certificate and a token. On an error the address
// before it stays.
func (s *Server) Listen(address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if address == s.address {
		return nil
	}
	if address == Off {
		s.close()
		return nil
	}
	l, err := s.open(address)
	if err != nil {
		return err
	}
	s.close()
	ended := make(chan struct{})
	server := &http.Server{
		Handler:           http.HandlerFunc(s.answer),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withPeer,
		ErrorLog:          zap.NewStdLog(s.options.Logger),
		// No write time-out: a CPU profile takes as long as its caller asks for.
	}
	go func() {
		defer close(ended)
		_ = server.Serve(&gate{Listener: l, server: s, free: make(chan struct{}, maxConnections)}) // ends with ErrServerClosed
	}()
	s.address, s.socket, s.server, s.bound, s.ended = address, l, server, l.Addr(), ended
	return nil
}

// open returns the socket for address: one that another process handed over, or
// a new one.
func (s *Server) open(address string) (net.Listener, error) {
	if s.options.Inherited != nil {
		if file := s.options.Inherited(address); file != nil {
			return inherit(address, file)
		}
	}
	where := here
	if s.secured() {
		where = anywhere
	}
	return listen(address, where)
}

// Addr returns where the server listens, nil for nowhere.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound
}

// Address returns the address that Listen was given, or Off.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// File returns a duplicate of the server's socket, for another process to listen
// on too; nil when the server doesn't listen. The caller closes it.
func (s *Server) File() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	socket, ok := s.socket.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, nil
	}
	return socket.File()
}

// Leave is Close for a socket that another process listens on too: a unix socket
// keeps its name.
func (s *Server) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if socket, ok := s.socket.(*unixListener); ok {
		socket.left.Store(true)
	}
	s.close()
}

// Close ends the server. Answers under way get a second to finish.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
}

// close is Close for a caller that holds mu.
func (s *Server) close() {
	if s.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // a profile that runs longer is cut
	}
	<-s.ended
	s.address, s.socket, s.server, s.bound, s.ended = Off, nil, nil, nil, nil
}

// answer lets a page of a browser reach nothing: its Host would be a name that
// was made to resolve to loopback. A name that others may use comes with TLS and a token,
// which a page doesn't have.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	if overTCP(r) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		guarded := r.TLS != nil && s.secured()
		if !guarded && !loopback(host) {
			writeJSON(w, http.StatusMisdirectedRequest, map[string]any{"message": "the Host must be a loopback address"})
			return
		}
		if !guarded && !fromHere(r) { // as while a reload goes from one to the other
			writeJSON(w, http.StatusForbidden, map[string]any{"message": "only with TLS and tokens"})
			return
		}
		// Profiles and traces cost something even if the page can't read them.
		if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "none" && from != "same-origin" {
			writeJSON(w, http.StatusForbidden, map[string]any{"message": "not for pages of a browser"})
			return
		}
		if s.authorize(w, r) {
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"live": true})
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	answer := s.options.Status.readiness()
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, answer)
}

func (s *Server) config(w http.ResponseWriter, _ *http.Request) {
	if s.options.Config == nil {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"message": "no configuration is loaded yet"})
		return
	}
	text, err := s.options.Config()
	if err != nil {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"message": err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // a caller that left needs no answer
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	for _, path := range s.paths {
		if r.URL.Path == path && r.Method != http.MethodGet && r.Method != http.MethodHead {
			allowed := strings.Join(append([]string{"GET", "HEAD"}, s.methods[path]...), ", ")
			w.Header().Set("Allow", allowed)
			writeJSON(w, http.StatusMethodNotAllowed, map[string]any{"message": "only " + allowed})
			return
		}
	}
	writeJSON(w, http.StatusNotFound, map[string]any{"message": "not found", "paths": s.paths})
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a caller that left needs no answer
}
