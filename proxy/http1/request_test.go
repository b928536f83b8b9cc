package http1

import "testing"

func TestSmoke(t *testing.T) {
	var r Request
	in := "POST /a?b HTTP/1.1\r\nHost: Example.com:80\r\nTransfer-Encoding: chunked\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	n, err := r.Parse([]byte(in+"rest"), nil)
	t.Logf("%d %d %v %+v", n, len(in), err, r)
	if n != len(in) {
		t.Fatal()
	}
	var q Response
	in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	n, err = q.Parse([]byte(in+"hello"), nil, "GET")
	t.Logf("%d %d %v %+v", n, len(in), err, q)
	var c Chunked
	c.Reset(nil)
	dst := make([]byte, 100)
	nd, ns, err := c.Decode(dst, []byte("5\r\nhello\r\n0\r\nX: y\r\nHost: a\r\n\r\nGET"))
	t.Logf("%q %d %v %v", dst[:nd], ns, err, c.Trailers())
}
