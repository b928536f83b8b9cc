package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// decode feeds in to c in pieces of the given sizes (the last one repeats) and
// says what came of it. rest is what c left of in.
func decode(c *Chunked, in string, destination int, pieces ...int) (content, rest, how string) {
	var out []byte
	dst := make([]byte, destination)
	piece := 0
	var window []byte
	for {
		nd, ns, err := c.Decode(dst, window)
		out = append(out, dst[:nd]...)
		window = window[ns:]
		switch {
		case err == io.EOF:
			how = "end"
			for _, f := range c.Trailers() {
				how += fmt.Sprintf(" %s=%q", f.Name, f.Value)
			}
		case err != nil:
			how = err.Error()
		case len(window) > 0 && (nd > 0 || ns > 0):
			continue
		case in == "":
			how = "more"
		}
		if how != "" {
			return string(out), string(window) + in, how
		}
		n := min(len(in), max(1, pieces[min(piece, len(pieces)-1)]))
		piece++
		window = append([]byte(nil), string(window)+in[:n]...)
		in = in[n:]
	}
}

func TestChunked(t *testing.T) {
	var c Chunked
	f := func(in, content, rest, how string) {
		t.Helper()
		for _, size := range [][2]int{{4096, 1 << 20}, {1, 1}, {7, 3}, {1, 1 << 20}, {4096, 1}} {
			c.Reset(nil)
			gotContent, gotRest, gotHow := decode(&c, in, size[0], size[1])
			if gotContent != content || gotHow != how || how[:3] == "end" && gotRest != rest {
				t.Errorf("%.200q in pieces of %d into %d\n got %.100q, rest %.100q, %.200s\nwant %.100q, rest %.100q, %.200s",
					in, size[1], size[0], gotContent, gotRest, gotHow, content, rest, how)
				return
			}
		}
	}
	f("0\r\n\r\n", "", "", "end")
	f("0\r\n\r\nGET / HTTP/1.1\r\n", "", "GET / HTTP/1.1\r\n", "end")
	f("5\r\nhello\r\n6\r\n\r\nworl\r\n000\r\n\r\n", "hello\r\nworl", "", "end")
	f("A\r\n0123456789\r\n0000000000000000\r\n\r\n0", "0123456789", "0", "end")
	f("a\r\n0123456789\r\n", "0123456789", "", "more")
	f("", "", "", "more")
	f("0\r\n", "", "", "more")
	f("0\r\nA: b\r\n", "", "", "more")
	// Sizes.
	const bad = "invalid chunk size"
	for _, size := range []string{"", " 5", "5 ", "5\t", "+5", "-5", "0x5", "5h", "g", "5,5", "\x005", "\r5", "５"} {
		f(size+"\r\nhello\r\n0\r\n\r\n", "", "", bad)
	}
	f("7fffffffffffffff\r\nab", "ab", "", "more")
	f("8000000000000000\r\nab", "", "", "chunk size too large")
	f("ffffffffffffffff\r\nab", "", "", "chunk size too large")
	f("00000000000000001\r\nab", "", "", "chunk size too long")
	f("10000000000000000\r\nab", "", "", "chunk size too long")
	// Line ends.
	f("5\nhello\r\n0\r\n\r\n", "", "", bad)
	f("5\r\rhello", "", "", reasonBareCR)
	f("5\rhello", "", "", reasonBareCR)
	f("5\r\nhello\n0\r\n\r\n", "hello", "", "chunk longer than its size")
	f("5\r\nhello\rx", "hello", "", reasonBareCR)
	f("5\r\nhello!\r\n", "hello", "", "chunk longer than its size")
	f("5\r\nhello0\r\n\r\n", "hello", "", "chunk longer than its size")
	f("5\r\nhell\r\n0\r\n\r\n", "hell\r", "", "chunk longer than its size")
	f("\r\n0\r\n\r\n", "", "", bad)
	// Extensions.
	f("1;a\r\nx\r\n0;b;c=d;e=\"f\\\" g\tä\";h\r\n\r\n", "x", "", "end")
	const ext = "invalid chunk extension"
	for _, e := range []string{"", " a", "a ", "a b", "a=", "a= b", "a;", "=b", "a=b=c", "a=\"", "a=\"b", "a=\"b\"c", "a=\"\x01\"",
		"a=\"\x7f\"", "a=\"b\n\"", "a=\"\\\r\"", "a=b\"c\"", "a\x00", "a;;b", "a\tb", "ä"} {
		f("1;"+e+"\r\nx\r\n0\r\n\r\n", "", "", ext)
	}
	f("1;a\nx\r\n0\r\n\r\n", "", "", ext)
	f("1;a\rx\r\n0\r\n\r\n", "", "", reasonBareCR)
	f("1;a=\"b\"\rx", "", "", reasonBareCR)
	f("1;"+strings.Repeat("a", maxChunkExtension-1)+"\r\nx\r\n0\r\n\r\n", "x", "", "end")
	f("1;"+strings.Repeat("a", maxChunkExtension)+"\r\nx\r\n0\r\n\r\n", "", "", "chunk extensions too long")
	// Small chunks with long extensions come to an end, larger ones do not.
	small := "1;" + strings.Repeat("a", 200) + "\r\nx\r\n"
	f(strings.Repeat(small, 20)+"0\r\n\r\n", strings.Repeat("x", 20), "", "end")
	f(strings.Repeat(small, 30)+"0\r\n\r\n", strings.Repeat("x", 20), "", "chunk extensions too long")
	large := "c9;" + strings.Repeat("a", 200) + "\r\n" + strings.Repeat("x", 201) + "\r\n"
	f(strings.Repeat(large, 50)+"0\r\n\r\n", strings.Repeat("x", 201*50), "", "end")
	// Trailers.
	f("0\r\nA: b\r\nx-c:\t d \r\n\r\nrest", "", "rest", `end A="b" x-c="d"`)
	f("0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nX-Forwarded-For: 1\r\nx-forwarded-prefix: /\r\n"+
		"Authorization: a\r\nCookie: b\r\nset-cookie: c\r\nContent-Range: 1\r\nCACHE-CONTROL: no\r\nConnection: A\r\nETag: e\r\n"+
		"X-Checksum: 1\r\nGrpc-Status: 0\r\nX-Real-Ip: 1\r\nX-Amzn-Trace-Id: t\r\n\r\n",
		"", "", `end ETag="e" X-Checksum="1" Grpc-Status="0" X-Amzn-Trace-Id="t"`)
	f("0\r\nA : b\r\n\r\n", "", "", "white space before the colon of a field line")
	f("0\r\nA: b\r\n c\r\n\r\n", "", "", "white space at the start of a field line")
	f("0\r\nA: b\nC: d\r\n\r\n", "", "", reasonBareLF)
	f("0\r\n\n", "", "", reasonBareLF)
	f("0\r\nA: b\n", "", "", reasonBareLF) // at once
	f("0\r\nx\n", "", "", reasonBareLF)
	f("0\r\nA: b\rC: d\r\n\r\n", "", "", reasonBareCR)
	f("0\r\nA: \x00\r\n\r\n", "", "", "control character in a field value")
	f("0\r\nA\r\n\r\n", "", "", "field line without colon")
	f("0\r\n"+strings.Repeat("A: b\r\n", DefaultFields)+"\r\n", "", "", "end"+strings.Repeat(` A="b"`, DefaultFields))
	f("0\r\n"+strings.Repeat("A: b\r\n", DefaultFields+1)+"\r\n", "", "", reasonManyFields)
	f("0\r\nA: "+strings.Repeat("b", DefaultHead)+"\r\n\r\n", "", "", reasonBigHead)
}

func TestChunkedLimits(t *testing.T) {
	var c Chunked
	c.Reset(&Limits{Head: 6, Fields: 1})
	if _, _, how := decode(&c, "0\r\nA: b\r\n\r\n", 10, 100); how != `end A="b"` {
		t.Error(how)
	}
	c.Reset(&Limits{Head: 5})
	if _, _, how := decode(&c, "0\r\nA: b\r\n\r\n", 10, 100); how != reasonBigHead {
		t.Error(how)
	}
	// Errors stay.
	var refused *Error
	if _, _, err := c.Decode(make([]byte, 10), []byte("5\r\nhello\r\n")); !errors.As(err, &refused) || refused.Status != 431 {
		t.Errorf("after an error: %v", err)
	}
	if c.Trailers() != nil {
		t.Errorf("trailers after an error: %v", c.Trailers())
	}
	c.Reset(nil)
	// So does the end.
	for range 2 {
		if _, _, err := c.Decode(nil, []byte("0\r\n\r\n")); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	}
}

// Decoding over its own input is what spares a proxy a second buffer.
func TestChunkedInPlace(t *testing.T) {
	var c Chunked
	c.Reset(nil)
	b := []byte("5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\nrest")
	nd, ns, err := c.Decode(b, b)
	if string(b[:nd]) != "hello, world" || string(b[ns:]) != "rest" || err != io.EOF {
		t.Errorf("got %q, rest %q, %v", b[:nd], b[ns:], err)
	}
}

func TestChunkedAllocates(t *testing.T) {
	var c Chunked
	in := []byte("5\r\nhello\r\n0\r\nA: b\r\n\r\n")
	dst := make([]byte, 100)
	if allocs := testing.AllocsPerRun(100, func() {
		c.Reset(nil)
		if _, _, err := c.Decode(dst, in); err != io.EOF {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

func BenchmarkChunked(b *testing.B) {
	for _, size := range []int{64, 1024, 16384} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			chunk := append(AppendChunkSize(nil, size), strings.Repeat("x", size)+"\r\n"...)
			in := AppendLastChunk(bytes.Repeat(chunk, 16), nil)
			dst := make([]byte, 16*size)
			var c Chunked
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				c.Reset(nil)
				if nd, ns, err := c.Decode(dst, in); err != io.EOF || nd != len(dst) || ns != len(in) {
					b.Fatal(nd, ns, err)
				}
			}
		})
	}
}
