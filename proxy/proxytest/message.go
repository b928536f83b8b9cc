package proxytest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// message is an HTTP/1 message as it was read, for judging it.
type message struct {
	first    string // request line or status line
	fields   []field
	trailers []field
	body     []byte
	raw      []byte // head as received
	broken   error  // why the content ended before its end; nil when it didn't
	chunks   int    // of chunked content
}

// status returns the code of an answer, or 0.
func (m *message) status() int {
	parts := strings.SplitN(m.first, " ", 3)
	if len(parts) < 2 {
		return 0
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0
	}
	return n
}

// get returns the value of the first field called name in any case.
func (m *message) get(name string) string {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// String shows the message in a failure, its content cut to a readable length.
func (m *message) String() string {
	const most = 2000
	body := m.body
	note := ""
	if len(body) > most {
		note = fmt.Sprintf("… (%d bytes)", len(body))
		body = body[:most]
	}
	if m.broken != nil {
		note += " [broken off: " + m.broken.Error() + "]"
	}
	head := m.raw
	if len(head) > most {
		head = append(bytes.Clone(head[:most]), "…\n"...)
	}
	return "\t| " + strings.ReplaceAll(strings.ReplaceAll(string(head)+string(body)+note, "\r\n", "\n"), "\n", "\n\t| ")
}

// errNothing is what readMessage returns when the connection ended before the
// first byte.
var errNothing = errors.New("the connection closed without a message")

// readMessage reads a message. bodiless says that it has no content whatever
// its fields say; toEnd that content without framing goes on to the end of the
// connection, which is true of answers.
func readMessage(r *bufio.Reader, bodiless func(*message) bool, toEnd bool) (*message, error) {
	m := &message{}
	for {
		row, err := r.ReadString('\n')
		m.raw = append(m.raw, row...)
		if err != nil {
			if len(m.raw) == 0 {
				return nil, errNothing
			}
			return nil, fmt.Errorf("after %q: %w", m.raw, err)
		}
		if !strings.HasSuffix(row, "\r\n") {
			return nil, fmt.Errorf("line without CRLF: %q", row)
		}
		row = strings.TrimSuffix(row, "\r\n")
		if m.first == "" {
			m.first = row
			continue
		}
		if row == "" {
			break
		}
		name, value, found := strings.Cut(row, ":")
		if !found {
			return nil, fmt.Errorf("header line without colon: %q", row)
		}
		m.fields = append(m.fields, field{name: name, value: strings.Trim(value, " \t")})
	}
	switch te, length := m.get("Transfer-Encoding"), m.get("Content-Length"); {
	case bodiless(m):
	case te != "" && length != "":
		return nil, fmt.Errorf("both Transfer-Encoding and Content-Length:\n%s", m.raw)
	case strings.EqualFold(te, "chunked"):
		m.broken = m.readChunks(r)
	case te != "":
		return nil, fmt.Errorf("Transfer-Encoding: %s", te)
	case length != "":
		n, err := strconv.Atoi(length)
		if err != nil {
			return nil, fmt.Errorf("Content-Length: %s", length)
		}
		m.body = make([]byte, n)
		n, m.broken = io.ReadFull(r, m.body)
		m.body = m.body[:n]
	case toEnd:
		m.body, m.broken = io.ReadAll(r)
	}
	return m, nil
}

func (m *message) readChunks(r *bufio.Reader) error {
	for {
		row, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("chunk size %q: %w", row, err)
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(row, "\r\n"), 16, 31)
		if err != nil {
			return fmt.Errorf("chunk size %q: %w", row, err)
		}
		if n == 0 {
			break
		}
		chunk := make([]byte, n+2)
		read, err := io.ReadFull(r, chunk)
		m.body = append(m.body, chunk[:min(read, int(n))]...)
		if err != nil {
			return err
		}
		if string(chunk[n:]) != "\r\n" {
			return fmt.Errorf("chunk of %d bytes ends with %q", n, chunk[n:])
		}
		m.chunks++
	}
	for {
		row, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("trailer %q: %w", row, err)
		}
		if row == "\r\n" {
			return nil
		}
		name, value, found := strings.Cut(strings.TrimSuffix(row, "\r\n"), ":")
		if !found {
			return fmt.Errorf("trailer line without colon: %q", row)
		}
		m.trailers = append(m.trailers, field{name: name, value: strings.Trim(value, " \t")})
	}
}
