package observe

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
)

const (
	// syslogPrefix begins the address of a server that takes syslog.
	syslogPrefix = "syslog+"

	// syslogPatience is how long such a server may take to connect, and to take lines.
	syslogPatience = 2 * time.Second

	// syslogPause is the time between two tries to reach one that is away; what is logged
	// meanwhile is dropped and counted.
	syslogPause = time.Second

	// longestDatagram is what of a line fits into a datagram, head and all: 64 KiB less
	// the heads of UDP and IP.
	longestDatagram = 65507
)

// facilities are the names that syslog.conf knows, by their numbers. RFC 5424, 6.2.1.
var facilities = [...]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// syslogAddress is a server that takes syslog.
type syslogAddress struct {
	network, address string
	facility         int
	app              string
	secure           syslogTLS // for "tls"
}

// parseSyslog reads "syslog+udp://HOST:PORT?facility=local0&app=postern". The error is a
// *config.KeyError without a path.
func parseSyslog(text string) (a syslogAddress, err error) {
	const hint = `write "syslog+udp://HOST:514", "syslog+tcp://HOST:601", "syslog+tls://HOST:6514" or "syslog+unix:///dev/log"`
	wrong := func(why string) (syslogAddress, error) {
		return syslogAddress{}, &config.KeyError{Text: fmt.Sprintf("%q isn't where a syslog server is: %s", text, why), Hint: hint}
	}
	u, err := url.Parse(strings.TrimPrefix(text, syslogPrefix))
	if err != nil {
		return wrong("it can't be read")
	}
	a = syslogAddress{network: u.Scheme, address: u.Host, facility: 16, app: "postern"}
	switch u.Scheme {
	case "udp", "tcp", "tls":
		if u.Port() == "" || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
			return wrong("a host and a port are needed")
		}
	case "unix":
		if a.address = u.Path; u.Host != "" || !filepath.IsAbs(u.Path) {
			return wrong("a socket's whole path is needed, after three slashes")
		}
	default:
		return wrong("there are udp, tcp, tls and unix")
	}
	for key, values := range u.Query() {
		switch key {
		case "facility":
			a.facility = -1
			for i, name := range facilities {
				if name == values[0] {
					a.facility = i
				}
			}
			if a.facility < 0 {
				return wrong(fmt.Sprintf("no facility %q", values[0]))
			}
		case "app":
			if a.app = values[0]; a.app == "" || len(a.app) > 48 || strings.ContainsFunc(a.app, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				return wrong("app has 1 to 48 characters of ASCII, without spaces")
			}
		default:
			if a.network != "tls" || !a.secure.set(key, values[0]) {
				return wrong(fmt.Sprintf("it has no %q", key))
			}
		}
	}
	if a.network == "tls" {
		if _, err := a.secure.config(u.Hostname()); err != nil {
			return wrong(err.Error())
		}
	}
	return a, nil
}

// syslog writes lines to a syslog server, each as a message of RFC 5424: a datagram
// (RFC 5426; Unix sockets too), or by TCP with its length ahead (RFC 6587, 3.4.1), which
// TLS has, too (RFC 5425, 4.3). It is
// one goroutine's, but for Close and SetWriteDeadline.
type syslog struct {
	// Set at construction.
	address syslogAddress
	head    string // up to the time
	middle  string // behind it
	buf     []byte
	retry   time.Time // not before
	stream  bool      // conn is one

	mu     sync.Mutex // guards what follows
	conn   net.Conn
	closed bool
}

// newSyslog doesn't connect yet: a server that is away is no reason not to serve.
func newSyslog(text, name string) (*syslog, error) {
	a, err := parseSyslog(text)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "-"
	}
	const informational = 6
	return &syslog{
		address: a,
		head:    "<" + strconv.Itoa(a.facility*8+informational) + ">1 ",
		middle:  " " + host + " " + a.app + " " + strconv.Itoa(os.Getpid()) + " " + strings.ReplaceAll(name, " ", "-") + " - ",
	}, nil
}

// Write sends each line. n counts the whole lines that were sent.
func (s *syslog) Write(lines []byte) (n int, err error) {
	if err := s.connect(); err != nil {
		return 0, err
	}
	stamp := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	for rest := lines; len(rest) > 0; {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		if len(line) > 0 {
			if err := s.deliver(stamp, line); err != nil {
				return n, err
			}
		}
		if n = len(lines) - len(after); !found {
			return len(lines), nil
		}
		rest = after
	}
	return len(lines), nil
}

// deliver sends a line, by another connection if the one that there is has broken.
func (s *syslog) deliver(stamp string, line []byte) error {
	if s.send(stamp, line) == nil {
		return nil
	}
	s.hangUp()
	if err := s.connect(); err != nil {
		return err
	}
	err := s.send(stamp, line)
	if err != nil {
		s.hangUp()
		s.retry = time.Now().Add(syslogPause)
	}
	return err
}

func (s *syslog) send(stamp string, line []byte) error {
	b := append(s.buf[:0], s.head...)
	b = append(append(append(b, stamp...), s.middle...), line...)
	s.buf = b
	if !s.stream {
		if len(b) > longestDatagram {
			b = b[:longestDatagram]
		}
		_, err := s.conn.Write(b)
		return err
	}
	length := append(strconv.AppendInt(make([]byte, 0, 8), int64(len(b)), 10), ' ')
	if s.address.network == "tls" { // which would make two records of two
		s.buf = slices.Insert(b, 0, length...)
		_, err := s.conn.Write(s.buf)
		return err
	}
	buffers := net.Buffers{length, b}
	_, err := buffers.WriteTo(s.conn)
	return err
}

// connect makes sure that there is a connection, with a limit for what comes.
func (s *syslog) connect() error {
	if s.conn == nil {
		if time.Now().Before(s.retry) {
			return errors.New("the syslog server is away")
		}
		conn, stream, err := s.dial()
		if err != nil {
			s.retry = time.Now().Add(syslogPause)
			return err
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = conn.Close() // nothing was sent
			return net.ErrClosed
		}
		s.conn, s.stream = conn, stream
		s.mu.Unlock()
	}
	return s.conn.SetWriteDeadline(time.Now().Add(syslogPatience))
}

// dial connects. A Unix socket takes datagrams, as /dev/log does, or is a stream.
func (s *syslog) dial() (conn net.Conn, stream bool, err error) {
	dialer := net.Dialer{Timeout: syslogPatience}
	switch s.address.network {
	case "unix":
		if conn, err = dialer.Dial("unixgram", s.address.address); err == nil {
			return conn, false, nil
		}
		conn, err = dialer.Dial("unix", s.address.address)
		return conn, true, err
	case "udp":
		conn, err = dialer.Dial("udp", s.address.address)
		return conn, false, err
	}
	conn, err = dialer.Dial("tcp", s.address.address)
	if err == nil && s.address.network == "tls" {
		conn, err = s.address.secured(conn)
	}
	return conn, true, err
}

// hangUp gives a broken connection up; the next lines try another one.
func (s *syslog) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_ = s.conn.Close() // it is broken
		s.conn = nil
	}
}

// Close ends the connection.
func (s *syslog) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.conn == nil {
		return nil
	}
	return s.conn.Close()
}

// SetWriteDeadline bounds a write under way.
func (s *syslog) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return net.ErrClosed
	}
	return s.conn.SetWriteDeadline(t)
}
