package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// announcement is the version of the PROXY protocol header that begins each
// connection to a backend; 0 for none.
type announcement byte

func announcementOf(option string) announcement {
	switch option {
	case "v1":
		return 1
	case "v2":
		return 2
	}
	return 0
}

// owner returns who a connection for client belongs to: that client, when the
// connection has told the backend its address; otherwise everybody, which is
// the zero AddrPort.
func (a announcement) owner(client netip.AddrPort) netip.AddrPort {
	if a == 0 {
		return netip.AddrPort{}
	}
	return client
}

// announce writes the header for a connection of client, which came to the
// gateway's address local, to socket. For a connection that no client is behind
// (client isn't valid) the header says that, too. socket has a deadline.
// HAProxy, "The PROXY protocol", 2.1 and 2.2.
func (a announcement) announce(ctx context.Context, socket net.Conn, client, local netip.AddrPort) error {
	if a == 0 {
		return nil
	}
	h := &proxyproto.Header{Version: byte(a), Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	if client.IsValid() && local.IsValid() {
		h = proxyproto.HeaderProxyFromAddrs(byte(a), net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(local))
	}
	if deadline, limited := ctx.Deadline(); limited {
		if err := socket.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := h.WriteTo(socket); err != nil {
		return fmt.Errorf("write the PROXY protocol header: %w", err)
	}
	return socket.SetWriteDeadline(time.Time{})
}
