package proxytest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// plainText is gRPC's codec for messages that are strings.
type plainText struct{}

func (plainText) Marshal(v any) ([]byte, error)      { return []byte(*v.(*string)), nil }
func (plainText) Unmarshal(data []byte, v any) error { *v.(*string) = string(data); return nil }
func (plainText) Name() string                       { return "plain" }

// grpcCalls are the methods of the backend; each is a stream on gRPC's wire.
func grpcCalls(ended chan<- error) map[string]func(grpc.ServerStream) error {
	receive := func(s grpc.ServerStream) (string, error) {
		var m string
		err := s.RecvMsg(&m)
		return m, err
	}
	return map[string]func(grpc.ServerStream) error{
		"Upper": func(s grpc.ServerStream) error {
			m, err := receive(s)
			if err != nil {
				return err
			}
			in, _ := metadata.FromIncomingContext(s.Context())
			s.SetHeader(metadata.Pairs("x-head", strings.Join(in["x-asked"], ",")))
			s.SetTrailer(metadata.Pairs("x-tail", "yes", "x-tail", "twice", "x-raw-bin", "\x00\xff"))
			m = strings.ToUpper(m)
			return s.SendMsg(&m)
		},
		"Refuse": func(grpc.ServerStream) error { return status.Error(codes.FailedPrecondition, "not ü now") },
		"Count": func(s grpc.ServerStream) error {
			if _, err := receive(s); err != nil {
				return err
			}
			for i := range 100 {
				m := fmt.Sprint(i)
				if err := s.SendMsg(&m); err != nil {
					return err
				}
			}
			return status.Error(codes.DataLoss, "that is all")
		},
		"Join": func(s grpc.ServerStream) error {
			all := ""
			for {
				m, err := receive(s)
				if err == io.EOF {
					return s.SendMsg(&all)
				}
				if err != nil {
					return err
				}
				all += m
			}
		},
		"Chat": func(s grpc.ServerStream) error {
			if err := s.SendHeader(metadata.Pairs("x-head", "early")); err != nil {
				return err
			}
			for {
				m, err := receive(s)
				if err != nil {
					ended <- err
					return nil
				}
				m = "re: " + m
				if err := s.SendMsg(&m); err != nil {
					return err
				}
			}
		},
		"Hang": func(s grpc.ServerStream) error {
			ended <- nil // it has begun
			<-s.Context().Done()
			ended <- s.Context().Err()
			return s.Context().Err()
		},
	}
}

// grpcGateway starts a gRPC server, a gateway in front of it and a client of
// that. ended gets how the backend's Chat and Hang saw the end of the call; Hang tells
// its begin, too.
func grpcGateway(t *testing.T, limits string) (client *grpc.ClientConn, ended <-chan error) {
	t.Helper()
	seen := make(chan error, 10)
	calls := grpcCalls(seen)
	backend := grpc.NewServer(grpc.ForceServerCodec(plainText{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		name, _ := grpc.MethodFromServerStream(s)
		call := calls[name[strings.LastIndexByte(name, '/')+1:]]
		if call == nil {
			return status.Error(codes.Unimplemented, name)
		}
		return call(s)
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- backend.Serve(l) }()
	t.Cleanup(func() { backend.Stop(); <-served })

	file := filepath.Join(t.TempDir(), "postern.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `
[listen.public]
address = "127.0.0.1:0"
h2c = true
limits = { %s }
[backend.rpc]
protocol = "h2c"
targets = [%q]
[api.rpc]
type = "rest"
[api.rpc.route."ANY /{call+}"]
integration = { type = "http_proxy", url = "http://rpc.example/{call}", backend = "rpc", timeout = "1m" }
[api.rpc.route."ANY /late/{call+}"]
integration = { type = "http_proxy", url = "http://rpc.example/{call}", backend = "rpc", timeout = "500ms" }
[api.rpc.stage.prod]
[domain."rpc.example".map]
"/" = "rpc:prod"
`, limits, l.Addr().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	g := Start(t)
	if complaint := g.Apply(file); complaint != "" {
		t.Fatal(complaint)
	}
	t.Cleanup(g.Close)
	client, err = grpc.NewClient("passthrough:///"+g.Addr("public"), grpc.WithAuthority("rpc.example"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(plainText{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, seen
}

// A gRPC client and a gRPC server don't notice the gateway between them: single
// calls, metadata and trailers, statuses with and without messages.
func TestGRPCCalls(t *testing.T) {
	client, _ := grpcGateway(t, "")
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-asked", "this")
	for range 20 {
		in, out := "hello", ""
		var head, tail metadata.MD
		if err := client.Invoke(ctx, "/test.Calls/Upper", &in, &out, grpc.Header(&head), grpc.Trailer(&tail)); err != nil {
			t.Fatal(err)
		}
		if out != "HELLO" || head.Get("x-head")[0] != "this" || strings.Join(tail.Get("x-tail"), " ") != "yes twice" || tail.Get("x-raw-bin")[0] != "\x00\xff" {
			t.Fatalf("got %q, %v, %v", out, head, tail)
		}
	}
	// An answer that is trailers only.
	in, out := "x", ""
	err := client.Invoke(ctx, "/test.Calls/Refuse", &in, &out)
	if s := status.Convert(err); s.Code() != codes.FailedPrecondition || s.Message() != "not ü now" {
		t.Errorf("got %v", err)
	}
	if err := client.Invoke(ctx, "/test.Calls/Nothing", &in, &out); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
	// Large messages, over every window on the way.
	in = strings.Repeat("large ", 300_000)
	if err := client.Invoke(ctx, "/test.Calls/Upper", &in, &out); err != nil || out != strings.ToUpper(in) {
		t.Errorf("got %d bytes, %v", len(out), err)
	}
}

// Streams of messages one way, the other, and both at once.
func TestGRPCStreams(t *testing.T) {
	client, _ := grpcGateway(t, "")
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	start := func(ctx context.Context, name string) grpc.ClientStream {
		t.Helper()
		s, err := client.NewStream(ctx, both, "/test.Calls/"+name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	send := func(s grpc.ClientStream, m string) {
		t.Helper()
		if err := s.SendMsg(&m); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t.Context(), "Count")
	send(s, "go")
	for i := range 101 {
		var m string
		err := s.RecvMsg(&m)
		if i == 100 {
			if status.Code(err) != codes.DataLoss {
				t.Errorf("got %v at the end", err)
			}
		} else if err != nil || m != fmt.Sprint(i) {
			t.Fatalf("got %q, %v, want %d", m, err, i)
		}
	}

	s = start(t.Context(), "Join")
	want := ""
	for i := range 100 {
		send(s, fmt.Sprint(i))
		want += fmt.Sprint(i)
	}
	s.CloseSend()
	var got string
	if err := s.RecvMsg(&got); err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}

	// The header comes before any message, and a call may be silent for longer than
	// content of a request may.
	client, ended := grpcGateway(t, `body_timeout = "1s"`)
	s = start(t.Context(), "Chat")
	if head, err := s.Header(); err != nil || head.Get("x-head")[0] != "early" {
		t.Fatalf("got header %v, %v", head, err)
	}
	for i := range 20 {
		if i == 10 {
			time.Sleep(1300 * time.Millisecond)
		}
		send(s, fmt.Sprint(i))
		if err := s.RecvMsg(&got); err != nil || got != "re: "+fmt.Sprint(i) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	s.CloseSend()
	if err := s.RecvMsg(&got); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("the backend saw %v, want the end", err)
	}
}

// A client that gives up takes the backend's call with it, before the answer's
// head and after it; and a backend that doesn't answer is a time-out.
func TestGRPCCancel(t *testing.T) {
	client, ended := grpcGateway(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	s, err := client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Calls/Chat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Header(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Errorf("after the head: the backend saw %v, want Canceled", err)
	}
	in, out := "x", ""
	// Cancelled and not timed out: of a time limit the backend hears too, and
	// whose clock is first would decide.
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		<-ended // the begin
		cancel()
	}()
	err = client.Invoke(ctx, "/test.Calls/Hang", &in, &out)
	cancel()
	if status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want Canceled", err)
	}
	if err := <-ended; err == nil {
		t.Error("before the head: the backend saw no end")
	}
	// The integration's timeout is 500 ms; 504 is Unavailable for gRPC.
	begin := time.Now()
	err = client.Invoke(t.Context(), "/late/test.Calls/Hang", &in, &out)
	if took := time.Since(begin); status.Code(err) != codes.Unavailable || took < 400*time.Millisecond || took > 30*time.Second {
		t.Errorf("got %v after %s, want Unavailable after 500ms", err, took)
	}
	<-ended // the begin
	<-ended
}
