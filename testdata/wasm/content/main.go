//go:build wasip1

// Command content reads and writes content in every role that may.
package main

import (
	"bytes"
	"fmt"
	"strconv"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	postern.Authorize(authorize)
	postern.FilterRequests(request)
	postern.FilterResponses(response)
	postern.MapRequests(func(r *postern.Request, b *postern.Backend) {
		b.Body().WriteString("<")
		b.Body().Write(b.Body().Bytes())
		b.Body().WriteString(">")
	})
	postern.MapResponses(func(_ *postern.Request, out *postern.Response) { upper(out.Body()) })
	postern.Validate(func(r *postern.Request) postern.Judgement {
		if !bytes.Contains(r.Body().Bytes(), []byte("!")) {
			return postern.InvalidBody
		}
		return postern.Valid
	})
}

func authorize(r *postern.Request) postern.Decision {
	r.SetPrincipal(string(r.Body().Bytes()))
	return postern.Allow
}

func request(r *postern.Request, out *postern.Response) postern.Verdict {
	switch r.Header("X-Do") {
	case "echo":
		out.Body().Write(r.Body().Bytes())
		return postern.Respond
	case "replace":
		upper(r.Body())
	case "empty":
		r.Body().Reset()
	case "no content":
		out.SetStatus(204)
		out.Body().WriteString("never sent")
		return postern.Respond
	case "endless":
		for r.Body().WriteString("0123456789abcdef") {
		}
		r.Body().Reset()
	case "count":
		r.SetHeader("X-Length", strconv.Itoa(r.Body().Len()))
	}
	return postern.Continue
}

func response(r *postern.Request, out *postern.Response) {
	switch r.Header("X-Do") {
	case "wrong":
		out.Headers().Set("X-Took", fmt.Sprint(r.Body().WriteString("x"), r.Body().Len() >= 0))
	case "append":
		out.Body().Write(out.Body().Bytes())
		out.Body().WriteString("+" + strconv.Itoa(out.Body().Len()))
	case "drop":
		out.SetStatus(204)
	}
}

// upper rewrites a body chunk by chunk.
func upper(b postern.Body) {
	chunk := make([]byte, 7)
	for {
		n := b.Read(chunk)
		if n == 0 {
			return
		}
		b.Write(bytes.ToUpper(chunk[:n]))
	}
}

func main() {}
