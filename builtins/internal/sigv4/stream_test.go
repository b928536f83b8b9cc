package sigv4

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

// awsExample is the upload of AWS's documentation: 66,560 times "a" in chunks of
// 65,536. "Signature Calculations for the Authorization Header: Transferring Payload
// in Multiple Chunks", and the same with trailing headers.
func awsExample(trailer bool) (Request, []string) {
	fields := http1.Fields{}
	add := func(name, value string) { fields.Add(name, value) }
	add("Host", "s3.amazonaws.com")
	add("x-amz-date", "20130524T000000Z")
	add("x-amz-storage-class", "REDUCED_REDUNDANCY")
	add("Content-Encoding", "aws-chunked")
	add("x-amz-decoded-content-length", "66560")
	signed, signature, payload := "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", SignedChunks
	signatures := []string{
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
	}
	if trailer {
		add("x-amz-trailer", "x-amz-checksum-crc32c")
		signed, signature, payload = "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", SignedChunksTrailer
		signatures = []string{
			"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
			"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
		}
	} else {
		add("Content-Length", "66824")
	}
	add("x-amz-content-sha256", payload)
	add("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="+signed+",Signature="+signature)
	return Request{Method: "PUT", Path: "/examplebucket/chunkObject.txt", Host: "s3.amazonaws.com", Fields: fields}, signatures
}

// chunked returns the content of awsExample as it goes over the wire.
func chunked(signatures []string) string {
	a := strings.Repeat("a", 65536)
	text := "10000;chunk-signature=" + signatures[0] + "\r\n" + a + "\r\n" +
		"400;chunk-signature=" + signatures[1] + "\r\n" + a[:1024] + "\r\n" +
		"0;chunk-signature=" + signatures[2] + "\r\n"
	if len(signatures) > 3 {
		text += "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:" + signatures[3] + "\r\n"
	}
	return text + "\r\n"
}

// streamed runs a whole check of r, whose content source has.
func streamed(r Request, key *Key, service string, source io.Reader) (string, error) {
	c, err := NewVerifier("us-east-1", service, false).Begin(r)
	if err != nil {
		return "", err
	}
	defer c.End()
	if err := c.Admit(key, c.when); err != nil {
		return "", err
	}
	if err := c.Verify(key, c.Payload); err != nil {
		return "", err
	}
	s, err := c.Stream(key, source)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(s)
	return string(content), err
}

func exampleKey() *Key { return NewKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", time.Time{}) }

func TestStream(t *testing.T) {
	for _, trailer := range []bool{false, true} {
		r, signatures := awsExample(trailer)
		text := chunked(signatures)
		for name, source := range map[string]io.Reader{
			"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
			"with EOF": iotest.DataErrReader(strings.NewReader(text)),
		} {
			content, err := streamed(r, exampleKey(), "s3", source)
			if err != nil || content != strings.Repeat("a", 66560) {
				t.Errorf("trailer %v, %s: %d bytes, %v", trailer, name, len(content), err)
			}
		}
		f := func(what, changed string, want error) {
			t.Helper()
			content, err := streamed(r, exampleKey(), "s3", strings.NewReader(changed))
			var refused *Error
			if err == nil || want != nil && err != want || want == nil && !errors.As(err, &refused) {
				t.Errorf("trailer %v, %s: %v", trailer, what, err)
			}
			// What came out before was signed.
			if !strings.HasPrefix(strings.Repeat("a", 66560), content) {
				t.Errorf("trailer %v, %s: other content", trailer, what)
			}
		}
		f("another byte in the first chunk", strings.Replace(text, "aaa", "aba", 1), nil)
		f("another byte in the second", strings.Replace(text, "\na\r\n", "\nb\r\n", 1)+"x", nil)
		f("another signature", strings.Replace(text, "=ad80", "=bd80", 1)+"x", nil)
		f("chunks swapped", text[65536+2:], nil)
		f("no signature", strings.Replace(text, ";chunk-signature="+signatures[0], "", 1), nil)
		f("another extension", strings.Replace(text, ";chunk-signature", ";x=y;chunk-signature", 1), nil)
		f("a size that is none", "g"+text[1:], nil)
		f("a negative size", "-"+text, nil)
		f("a larger size", "1"+text, nil)
		f("a size beyond numbers", "ffffffffffffffff"+text[5:], nil)
		f("LF alone", strings.ReplaceAll(text, "\r\n", "\n"), nil)
		f("bytes behind the end", text+"x", nil)
		f("an endless line", strings.Repeat("0", 5000), nil)
		f("the end missing", text[:len(text)-2], io.ErrUnexpectedEOF)
		f("the last chunk missing", text[:strings.Index(text, "\r\n0;")+2], io.ErrUnexpectedEOF)
		f("half a chunk", text[:30000], io.ErrUnexpectedEOF)
		f("nothing", "", io.ErrUnexpectedEOF)
		if trailer {
			f("another checksum", strings.Replace(text, "sOO8", "sOO9", 1), nil)
			f("no checksum", strings.Replace(text, "x-amz-checksum-crc32c:sOO8/Q==\r\n", "", 1), nil)
			f("another field", strings.Replace(text, "\r\nx-amz-trailer-s", "\r\nx-other:1\r\nx-amz-trailer-s", 1), nil)
			f("no signature of the trailer", strings.Replace(text, "x-amz-trailer-signature:"+signatures[3]+"\r\n", "", 1), nil)
			f("endless fields", text[:len(text)-2]+strings.Repeat("a:b\r\n", 100), nil)
		} else {
			f("a trailer", text[:len(text)-2]+"a:b\r\n\r\n", nil)
		}
	}
}

// The trailer of content that isn't signed has a checksum.
func TestUnsignedStream(t *testing.T) {
	f := func(name, value, content string, good bool) {
		t.Helper()
		s := &Stream{source: strings.NewReader(content), left: 9, trailer: true}
		if !s.sums.expect(name) {
			t.Fatalf("no checksum %s", name)
		}
		s.trailers = []string{name}
		s.source = strings.NewReader(content + name + ":" + value + "\r\n\r\n")
		got, err := io.ReadAll(s)
		if good != (err == nil) || good && string(got) != "123456789" {
			t.Errorf("%s %s: %q, %v", name, value, got, err)
		}
	}
	const whole, parts = "9\r\n123456789\r\n0\r\n", "4\r\n1234\r\n5\r\n56789\r\n0\r\n"
	// The check values of the catalogue of CRC algorithms.
	f("x-amz-checksum-crc32", "y/Q5Jg==", whole, true)
	f("x-amz-checksum-crc32c", "4waSgw==", parts, true)
	f("x-amz-checksum-crc64nvme", "rosUhgp5mIg=", parts, true)
	f("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=", whole, true)
	f("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", parts, true)
	f("x-amz-checksum-crc32", "y/Q5Jw==", whole, false)
	f("x-amz-checksum-crc32", "y/Q5Jg==", "8\r\n12345678\r\n0\r\n", false)
	f("x-amz-checksum-crc32", "y/Q5Jg==", "a\r\n1234567890\r\n0\r\n", false)
	f("x-amz-checksum-crc32", "y/Q5Jg==", "9;chunk-signature=00\r\n123456789\r\n0\r\n", false)
	f("x-amz-checksum-crc32", "", whole, false)
}

// Whatever comes in chunks, nothing comes out but what was signed, and all of it
// before the end.
func FuzzStream(f *testing.F) {
	for _, trailer := range []bool{false, true} {
		_, signatures := awsExample(trailer)
		f.Add(trailer, []byte(chunked(signatures)))
	}
	f.Add(false, []byte("0;chunk-signature=\r\n\r\n"))
	f.Fuzz(func(t *testing.T, trailer bool, text []byte) {
		r, _ := awsExample(trailer)
		content, err := streamed(r, exampleKey(), "s3", strings.NewReader(string(text)))
		if !strings.HasPrefix(strings.Repeat("a", 66560), content) || err == nil && len(content) != 66560 {
			t.Errorf("%d bytes, %v", len(content), err)
		}
		s := &Stream{source: strings.NewReader(string(text)), left: -1, trailer: true}
		if content, err := io.ReadAll(s); err == nil && len(content) > len(text) {
			t.Errorf("%d bytes of %d", len(content), len(text))
		}
	})
}
