package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// ErrInUse is what listening fails with when another gateway answers at the
// admin socket.
var ErrInUse = errors.New("another gateway answers there")

// longestSocket is what fits into the kernel's address of a unix socket, with
// room for the name under which it is made.
const longestSocket = 100

// listen opens address: "unix:PATH" or "host:port", which is a loopback address unless it
// may be any.
func listen(address string, where reach) (net.Listener, error) {
	if path, unix := strings.CutPrefix(address, "unix:"); unix {
		return listenUnix(path)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: %w", address, err)
	}
	// Whoever reaches it sees the configuration and can profile the process.
	if where == here && !loopback(host) {
		return nil, fmt.Errorf("admin address %q isn't a loopback address; use 127.0.0.1:PORT, [::1]:PORT or unix:PATH, or TLS and tokens", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin address: %w", err)
	}
	return l, nil
}

// reach is from where a TCP address may be reached.
type reach bool

const (
	here     reach = false // the machine itself
	anywhere reach = true
)

// loopback reports whether host is the machine itself.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// unixListener removes its socket when it is closed, if it is still its own.
type unixListener struct {
	*net.UnixListener
	path string
	own  fs.FileInfo
	left atomic.Bool // the name belongs to another process now
}

// listenUnix makes a socket that only the process's user can use. One that
// nobody answers at, left by a gateway that was killed, is replaced.
func listenUnix(path string) (net.Listener, error) {
	if len(path) > longestSocket {
		return nil, fmt.Errorf("admin socket %s: the path has %d bytes, a socket's may have %d", path, len(path), longestSocket)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	// It is made under another name and moved into place when its mode is right,
	// which also replaces a stale one in a single step.
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid()%100000)
	_ = os.Remove(fresh) // left by a process of the same number, if at all
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(fresh, 0o600)
	var own fs.FileInfo
	if err == nil {
		own, err = os.Lstat(fresh)
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = l.Close() // the error is told already
		_ = os.Remove(fresh)
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return &unixListener{UnixListener: l, path: path, own: own}, nil
}

// inherit returns the socket at address that another process listens on too.
func inherit(address string, file *os.File) (net.Listener, error) {
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("admin address %s: the socket that was handed over: %w", address, err)
	}
	path, unix := strings.CutPrefix(address, "unix:")
	if !unix {
		return l, nil
	}
	socket, ok := l.(*net.UnixListener)
	if !ok {
		_ = l.Close() // it isn't what it should be
		return nil, fmt.Errorf("admin address %s: the socket that was handed over is none of this kind", address)
	}
	socket.SetUnlinkOnClose(false)
	own, err := os.Lstat(path)
	if err != nil {
		_ = socket.Close() // nobody can reach it
		return listenUnix(path)
	}
	return &unixListener{UnixListener: socket, path: path, own: own}, nil
}

// vacant reports an error when path is something else than a socket that nobody
// answers at.
func vacant(path string) error {
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("admin socket: %w", err)
	}
	if there.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("admin socket %s: there is a file of this name, which isn't a socket", path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil
	}
	_ = conn.Close() // it was only to see whether somebody is there
	return fmt.Errorf("admin socket %s: %w; stop it, or give this one its own admin.address or data_dir", path, ErrInUse)
}

// Addr returns the socket's own name, not the one it was made under.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close closes the socket and removes it.
func (l *unixListener) Close() error {
	if there, err := os.Lstat(l.path); err == nil && !l.left.Load() && os.SameFile(there, l.own) {
		_ = os.Remove(l.path) // a stale one is replaced at the next start
	}
	return l.UnixListener.Close()
}
