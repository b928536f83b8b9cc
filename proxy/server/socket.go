package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/postern-gateway/postern/proxy/config"
)

// OpenTCP opens a TCP socket at c's address: what a Server does by itself.
func OpenTCP(_ string, c *config.Listen) (net.Listener, error) {
	if !c.ReusePort {
		return net.Listen("tcp", c.Address)
	}
	with := net.ListenConfig{Control: reusePort}
	return with.Listen(context.Background(), "tcp", c.Address)
}

// Socket is the socket of a listener, for another process to listen on too.
type Socket struct {
	Name    string   // of the listener
	Address string   // as configured
	File    *os.File // a duplicate, which the receiver closes
}

// Sockets returns the listeners' sockets. Whoever listens on one of them gets
// connections of the same queue as the server, also when the server is closed:
// those that nobody accepted yet are not lost.
//
// It fails when a socket has no file descriptor, or there are no more of them.
func (s *Server) Sockets() ([]Socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Socket
	var problems []error
	for name, l := range s.listeners {
		file, err := duplicate(l.socket)
		if err != nil {
			problems = append(problems, fmt.Errorf("listen.%s: %w", name, err))
			continue
		}
		all = append(all, Socket{Name: name, Address: l.address, File: file})
	}
	if err := errors.Join(problems...); err != nil {
		for _, socket := range all {
			_ = socket.File.Close() // only a duplicate
		}
		return nil, err
	}
	return all, nil
}

func duplicate(l net.Listener) (*os.File, error) {
	socket, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.New("its socket can't be handed over")
	}
	return socket.File()
}

// Down returns the names of listeners that should accept connections and don't,
// in order. Nothing in it is the normal state.
func (s *Server) Down() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var down []string
	for name, l := range s.listeners {
		if l.ended.Load() && !l.stopped.Load() {
			down = append(down, name)
		}
	}
	slices.Sort(down)
	return down
}
