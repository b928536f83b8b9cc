package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/server"
)

// Where an inherited socket comes from.
const (
	fromSystemd  = "systemd"  // name is the .socket unit's
	fromListener = "listener" // name and address are those of the process before
	fromAdmin    = "admin"    // address is that of the process before
)

// inherited is a listening socket that was open before this process.
type inherited struct {
	From    string `json:"from"`
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`

	file  *os.File
	taken bool
}

// sockets are the inherited ones. Those of systemd stay for the life of the
// process, for a later configuration may name them; those of the process before
// until settle.
type sockets struct {
	mu  sync.Mutex // guards what follows
	all []*inherited
}

// activated returns the sockets that systemd passed.
func activated() *sockets {
	s := new(sockets)
	for _, file := range activation.Files(true) {
		s.all = append(s.all, &inherited{From: fromSystemd, Name: file.Name(), file: file})
	}
	return s
}

// open returns the socket for a listener: an inherited one, or a new one.
func (s *sockets) open(name string, c *config.Listen) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	socket, err := s.find(name, c.Address)
	if err != nil {
		return nil, err
	}
	if socket == nil {
		return server.OpenTCP(name, c)
	}
	l, err := tcpListener(socket.file)
	if err != nil {
		return nil, fmt.Errorf("the socket %q that was passed: %w", socket.Name, err)
	}
	socket.taken = true
	return l, nil
}

// find returns the inherited socket for a listener, nil if there is none. s.mu
// is held.
func (s *sockets) find(name, address string) (*inherited, error) {
	if wanted, named := strings.CutPrefix(address, config.Activated); named {
		return s.named(wanted)
	}
	for _, socket := range s.all {
		if socket.From == fromListener && socket.Name == name && socket.Address == address {
			return socket, nil
		}
	}
	for _, socket := range s.all {
		if socket.From == fromSystemd && boundTo(socket.file, address) {
			return socket, nil
		}
	}
	return nil, nil
}

// named returns the socket that systemd passed under a name. s.mu is held.
func (s *sockets) named(wanted string) (*inherited, error) {
	var found *inherited
	var names []string
	for _, socket := range s.all {
		if socket.From != fromSystemd {
			continue
		}
		names = append(names, fmt.Sprintf("%q", socket.Name))
		if socket.Name != wanted {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("systemd passed several sockets of the name %q; each needs a .socket unit with a FileDescriptorName of its own", wanted)
		}
		found = socket
	}
	if found == nil && len(names) == 0 {
		return nil, fmt.Errorf("systemd passed no sockets, so none of the name %q: is this the service of a .socket unit?", wanted)
	}
	if found == nil {
		return nil, fmt.Errorf("systemd passed no socket of the name %q, but %s", wanted, strings.Join(names, ", "))
	}
	return found, nil
}

// tcpListener makes a listener of a socket; file stays the caller's.
func tcpListener(file *os.File) (net.Listener, error) {
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("not a listening socket: %w", err)
	}
	if _, tcp := l.(*net.TCPListener); !tcp {
		_ = l.Close() // a duplicate that is of no use
		return nil, fmt.Errorf("a %s socket, want TCP", l.Addr().Network())
	}
	return l, nil
}

// boundTo reports whether a socket listens at address, "host:port" as configured.
func boundTo(file *os.File, address string) bool {
	l, err := tcpListener(file)
	if err != nil {
		return false
	}
	defer l.Close()
	bound := l.Addr().(*net.TCPAddr)
	wanted, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || wanted.Port == 0 || wanted.Port != bound.Port {
		return false
	}
	if wanted.IP == nil { // ":port"
		return bound.IP.IsUnspecified()
	}
	return wanted.IP.Equal(bound.IP)
}

// admin returns the socket of the admin listener at address, nil for none.
func (s *sockets) admin(address string) *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, socket := range s.all {
		if socket.From == fromAdmin && socket.Address == address {
			socket.taken = true
			return socket.file
		}
	}
	return nil
}

// settle ends what was between this process and the one before: sockets that
// this configuration doesn't use are closed. Of systemd's, it warns.
func (s *sockets) settle(logger *zap.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.all[:0]
	for _, socket := range s.all {
		if socket.From == fromSystemd {
			kept = append(kept, socket)
			if !socket.taken {
				logger.Warn("systemd passed a socket that no listener uses: whoever connects to it waits for nothing",
					zap.String("socket", socket.Name), zap.String("hint", `listen.x.address = "`+config.Activated+socket.Name+`"`))
			}
			continue
		}
		if path, unix := strings.CutPrefix(socket.Address, "unix:"); unix && !socket.taken {
			_ = os.Remove(path) // nobody listens there any more
		}
		_ = socket.file.Close() // who uses it has a duplicate
	}
	clear(s.all[len(kept):])
	s.all = kept
}

// passed returns systemd's sockets, for the process that takes this one's place.
func (s *sockets) passed() []*inherited {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*inherited
	for _, socket := range s.all {
		if socket.From == fromSystemd {
			all = append(all, socket)
		}
	}
	return all
}
