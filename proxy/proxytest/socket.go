package proxytest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// upgrade begins the handshake of a WebSocket. RFC 6455, 4.1.
func (p *player) upgrade(l line) error {
	if err := p.request(line{number: l.number, word: "get", rest: l.rest}); err != nil {
		return err
	}
	p.sentAt = l
	p.pending.fields = append(p.pending.fields,
		field{name: "Connection", value: "Upgrade"}, field{name: "Upgrade", value: "websocket"},
		field{name: "Sec-WebSocket-Version", value: "13"}, field{name: "Sec-WebSocket-Key", value: "dGhlIHNhbXBsZSBub25jZQ=="})
	return nil
}

// ready sees to the open WebSocket: what the latest answer 101 made of its connection.
func (p *player) ready() error {
	if p.conn != nil && p.answer != nil && p.answer.status() == 101 {
		if p.socket != nil {
			p.socket.close()
		}
		p.finish()
		p.socket, p.conn = p.conn, nil
	}
	p.finish()
	if p.socket == nil {
		return errors.New("no WebSocket is open")
	}
	return p.socket.conn.SetDeadline(time.Now().Add(patience))
}

// say sends a text.
func (p *player) say(l line) error {
	if err := p.ready(); err != nil {
		return err
	}
	text, err := unescape(p.expand(repeat(l.rest)))
	if err != nil {
		return err
	}
	return p.socket.send(clientFrame(0x81, text))
}

// clientFrame returns a frame with a mask of zeros.
func clientFrame(first byte, content string) string {
	b := []byte{first}
	switch n := len(content); {
	case n <= 125:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0xfe), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0xff), uint64(n))
	}
	return string(append(b, 0, 0, 0, 0)) + content
}

// hear reads the next text, to be judged as the content of an answer.
func (p *player) hear(l line) error {
	if err := p.ready(); err != nil {
		return err
	}
	first, content, err := p.frame()
	if err != nil {
		p.fatal(err)
	}
	m := &message{first: "a message", body: []byte(content)}
	p.answer, p.answered = newJudge(m), l
	if first != 0x81 {
		return fmt.Errorf("got a frame %#x", first)
	}
	if l.rest == "" {
		return nil
	}
	return p.answer.check("body", p.expand(l.rest))
}

// frame reads one frame of the gateway's.
func (p *player) frame() (first byte, content string, err error) {
	r := p.socket.r
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, "", fmt.Errorf("no frame: %w", err)
	}
	n := uint64(head[1])
	var wide [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(r, wide[6:])
		n = binary.BigEndian.Uint64(wide[:])
	case 127:
		_, err = io.ReadFull(r, wide[:])
		n = binary.BigEndian.Uint64(wide[:])
	}
	if err != nil || n > 1<<24 {
		return 0, "", fmt.Errorf("a frame of %d bytes: %w", n, err)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return head[0], string(b), err
}

// hangUp sends a Close frame.
func (p *player) hangUp(l line) error {
	if err := p.ready(); err != nil {
		return err
	}
	code, reason, _ := strings.Cut(l.rest, " ")
	n, err := strconv.Atoi(code)
	if err != nil {
		return err
	}
	return p.socket.send(clientFrame(0x88, string(binary.BigEndian.AppendUint16(nil, uint16(n)))+reason))
}

// ends expects a Close frame, and the connection's end after it.
func (p *player) ends(l line) error {
	if err := p.ready(); err != nil {
		return err
	}
	first, content, err := p.frame()
	if err != nil {
		p.fatal(err)
	}
	got := fmt.Sprintf("%#x %q", first, content)
	if first == 0x88 && len(content) >= 2 {
		got = strconv.Itoa(int(binary.BigEndian.Uint16([]byte(content))))
	}
	if got != l.rest {
		return differs("the end", got, l.rest)
	}
	if err := p.socket.send(clientFrame(0x88, content[:2])); err != nil {
		return err
	}
	if first, content, err := p.frame(); err == nil {
		return fmt.Errorf("after the Close frame came %#x %q", first, content)
	}
	return nil
}

// note keeps a text of the answer's JSON for later: $NAME.
func (p *player) note(l line) error {
	name, path, found := strings.Cut(l.rest, " ")
	if !found || p.answer == nil {
		return errors.New("needs a name and a path, and an answer before")
	}
	var doc any
	if err := json.Unmarshal(p.answer.body, &doc); err != nil {
		return err
	}
	value, _, err := find(doc, path)
	if text, is := value.(string); is {
		p.texts[strings.ToLower(name)] = text
	} else if err == nil {
		err = fmt.Errorf("%s is %v, not a text", path, value)
	}
	return err
}
