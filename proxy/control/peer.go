package control

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// peerKey is under which a request's context has its connection.
type peerKey struct{}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, c)
}

// bearerKey is under which a request's context has the name of its token.
type bearerKey struct{}

func withBearer(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, bearerKey{}, name)
}

// peer says who asks, for the log: the user that the kernel names for a unix socket,
// else the address.
func peer(r *http.Request) string {
	if c, ok := r.Context().Value(peerKey{}).(*net.UnixConn); ok {
		if user, process, known := credentials(c); known {
			return fmt.Sprintf("user %d, process %d", user, process)
		}
		return "admin socket"
	}
	if name, ok := r.Context().Value(bearerKey{}).(string); ok {
		return fmt.Sprintf("token %s, %s", name, r.RemoteAddr)
	}
	return r.RemoteAddr
}
