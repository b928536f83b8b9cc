package backend

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxFrame is the largest frame that is echoed, in bytes.
const maxFrame = 1 << 20

// The opcodes that matter here. RFC 6455, 5.2.
const (
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// webSocket sends every message back. RFC 6455. It is as small as an example may
// be: no extensions, and frames are echoed as they are split.
func webSocket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	// RFC 6455, 4.2.2: the key and this constant, hashed.
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if _, err := rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"); err != nil {
		return
	}
	for rw.Flush() == nil {
		done, err := echo(rw)
		if err != nil {
			return
		}
		if done {
			_ = rw.Flush() // the close frame; the connection ends in any case
			return
		}
	}
}

// errFrame is a frame that a client must not send.
var errFrame = errors.New("a frame that isn't allowed")

// echo answers one frame and reports whether it was the last.
func echo(rw *bufio.ReadWriter) (done bool, err error) {
	var head [2]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return false, err
	}
	opcode, masked, length := head[0]&0x0f, head[1]&0x80 != 0, uint64(head[1]&0x7f)
	var wide [8]byte
	switch length {
	case 126:
		_, err = io.ReadFull(rw, wide[6:])
		length = uint64(binary.BigEndian.Uint16(wide[6:]))
	case 127:
		_, err = io.ReadFull(rw, wide[:])
		length = binary.BigEndian.Uint64(wide[:])
	}
	if err != nil {
		return false, err
	}
	if !masked || length > maxFrame { // RFC 6455, 5.1: clients mask
		return false, errFrame
	}
	var mask [4]byte
	if _, err := io.ReadFull(rw, mask[:]); err != nil {
		return false, err
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(rw, content); err != nil {
		return false, err
	}
	for i := range content {
		content[i] ^= mask[i%4]
	}
	switch opcode {
	case opPong:
		return false, nil
	case opPing:
		head[0] = head[0]&0xf0 | opPong
	}
	return opcode == opClose, writeFrame(rw, head[0], content)
}

func writeFrame(w io.Writer, first byte, content []byte) error {
	head := []byte{first}
	switch n := len(content); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}
