package http1

import (
	"fmt"
	"net/http"
	"testing"
)

func TestAppend(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != "> "+want {
			t.Errorf("got %q, want %q", got, "> "+want)
		}
	}
	dst := []byte("> ")
	f(AppendRequestLine(dst, "GET", "/a?b"), "GET /a?b HTTP/1.1\r\n")
	f(AppendField(dst, "A", "b c"), "A: b c\r\n")
	f(AppendField(dst, "A", ""), "A: \r\n")
	f(AppendStatusLine(dst, 299), "HTTP/1.1 299 \r\n")
	f(AppendStatusLine(dst, 599), "HTTP/1.1 599 \r\n")
	for _, bad := range []int{0, -1, 99, 600, 1000} {
		f(AppendStatusLine(dst, bad), "HTTP/1.1 500 Internal Server Error\r\n")
	}
	f(AppendChunkSize(dst, 26), "1a\r\n")
	f(AppendChunkSize(dst, 1<<40), "10000000000\r\n")
	f(AppendLastChunk(dst, nil), "0\r\n\r\n")
	f(AppendLastChunk(dst, Fields{NewField("A", "b")}), "0\r\nA: b\r\n\r\n")
}

func TestStatusLines(t *testing.T) {
	var r Response
	for status := 100; status <= 599; status++ {
		line := AppendStatusLine(nil, status)
		n, err := r.Parse(append(line, "\r\n"...), nil, "GET")
		if err != nil || n != len(line)+2 || r.Status != status {
			t.Errorf("%q: parsed as %d, %v", line, r.Status, err)
		}
		// net/http has the registry too, with older names for some.
		known := http.StatusText(status)
		switch status {
		case 203, 413, 414, 416, 418, 422:
			continue
		}
		if want := fmt.Sprintf("HTTP/1.1 %d %s\r\n", status, known); known != "" && status != 510 && string(line) != want {
			t.Errorf("got %q, want %q", line, want)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	var r Response
	if _, err := r.Parse([]byte(responseHead), nil, "GET"); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendStatusLine(buf[:0], r.Status)
		for i := range r.Fields {
			buf = AppendField(buf, r.Fields[i].Name, r.Fields[i].Value)
		}
		buf = append(buf, "\r\n"...)
	}
	if string(buf) != responseHead {
		b.Errorf("got %q", buf)
	}
}
