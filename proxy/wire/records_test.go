package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"testing"
	"time"
)

// sockets returns two ends of a TCP connection.
func sockets(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	theirs, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	for _, c := range []net.Conn{ours, theirs} {
		c.SetDeadline(time.Now().Add(time.Minute))
	}
	return ours, theirs
}

// However records and reads are cut, the bytes stay the same and no read goes
// past the end of a record.
func TestRecords(t *testing.T) {
	ours, theirs := sockets(t)
	var all []byte
	ends := map[int]bool{0: true}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for range 200 {
		n := random.IntN(20)
		if random.IntN(5) == 0 {
			n = random.IntN(16 << 10)
		}
		all = append(all, 23, 3, 3, byte(n>>8), byte(n))
		all = append(all, bytes.Repeat([]byte{byte(n)}, n)...)
		ends[len(all)] = true
	}
	go func() {
		for rest := all; len(rest) > 0; {
			n := min(1+random.IntN(9000), len(rest))
			theirs.Write(rest[:n])
			rest = rest[n:]
		}
		theirs.Close()
	}()
	var buffers Buffers
	r := NewRecords(ours, &buffers)
	sizes := mathrand.New(mathrand.NewPCG(3, 4))
	var got []byte
	for {
		p := make([]byte, 1+sizes.IntN(600))
		n, err := r.Read(p)
		for i := len(got) + 1; i < len(got)+n; i++ {
			if ends[i] {
				t.Fatalf("a read goes past the end of a record at %d", i)
			}
		}
		got = append(got, p[:n]...)
		if len(r.wire.Buffered()) == 0 && ends[len(got)] != r.empty() {
			t.Fatalf("empty is %t at %d", r.empty(), len(got))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, all) {
		t.Errorf("got %d bytes, want %d, or they differ", len(got), len(all))
	}
}

// sessions returns a TLS client and the Conn of its server.
func sessions(t testing.TB) (server *Conn, records *Records, client *tls.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := sockets(t)
	client = tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
	buffers := new(Buffers)
	records = NewRecords(ours, buffers)
	session := tls.Server(records, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := session.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return NewTLS(session, records, buffers), records, client
}

// A TLS connection that waits holds no buffer, and never waits for the socket
// while there are bytes above it.
func TestAwaitTLS(t *testing.T) {
	server, records, client := sessions(t)
	for round := range 50 {
		want := bytes.Repeat([]byte{byte(round)}, 1+round*997)
		go func() { // several records in one segment
			client.Write(want[:len(want)/2])
			client.Write(want[len(want)/2:])
		}()
		var got []byte
		for len(got) < len(want) {
			if err := server.Await(); err != nil {
				t.Fatalf("round %d at %d of %d: %v", round, len(got), len(want), err)
			}
			n := len(server.Buffered())
			if round%2 == 0 {
				n = min(n, 100)
			}
			got = append(got, server.Buffered()[:n]...)
			server.Discard(n)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("round %d: other bytes", round)
		}
	}
	waited := make(chan error, 1)
	server.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	go func() { waited <- server.Await() }()
	if err := <-waited; !TimedOut(err) {
		t.Fatalf("got %v", err)
	}
	if server.buf != nil || records.wire.buf != nil {
		t.Error("a buffer is held")
	}
	client.Close()
	server.SetReadDeadline(time.Now().Add(time.Minute))
	if err := server.Await(); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	for until := time.Now().Add(time.Minute); !server.Gone(); {
		if time.Now().After(until) {
			t.Fatal("that the client left isn't seen")
		}
	}
}
