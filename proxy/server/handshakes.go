package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// handshakes counts TLS handshakes that failed, by whose doing it was.
type handshakes struct {
	unrecognized, late, closed, client, protocol atomic.Uint64
}

// noCertificate is what crypto/tls says of a client that names nothing of ours; it has
// no error value for it.
const noCertificate = "tls: no certificates configured"

// clearAlert is what crypto/tls says of OpenSSL clients that don't trust a certificate:
// they say so in clear when all is encrypted already.
const clearAlert = "tls: bad record MAC"

func (h *handshakes) count(err error) {
	var op *net.OpError
	switch {
	case err.Error() == noCertificate:
		h.unrecognized.Add(1)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		h.late.Add(1)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed):
		h.closed.Add(1)
	case errors.As(err, &op) && (op.Op == "remote error" || op.Err.Error() == clearAlert): // crypto/tls's word for an alert
		h.client.Add(1)
	default:
		h.protocol.Add(1)
	}
}

func (h *handshakes) all() map[string]uint64 {
	return map[string]uint64{
		"unrecognized_name": h.unrecognized.Load(), "timeout": h.late.Load(), "closed": h.closed.Load(),
		"client_alert": h.client.Load(), "protocol": h.protocol.Load(),
	}
}
