//go:build wasip1

// Command pieces looks at content in pieces: a word that no request may have and
// that no response shows, of any length and without storing it; and an integration
// that answers while it reads.
package main

import (
	"bytes"
	"io"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	postern.FilterRequestContent(request)
	postern.FilterResponseContent(response)
	postern.Integrate(integrate)
}

func main() {} // the gateway calls the functions; this never runs

const word = "sesame"

func request(r *postern.Request, p *postern.Piece) postern.Verdict {
	piece := p.Bytes()
	if bytes.Contains(piece, []byte(word)) {
		r.SetMessage("a word is missing its door")
		return postern.Refuse
	}
	if !p.Last() {
		p.Keep(min(len(piece), len(word)-1)) // it could be the word's beginning
	}
	return postern.Continue
}

func response(_ *postern.Request, _ *postern.Response, p *postern.Piece) {
	rest := p.Bytes()
	for {
		before, after, found := bytes.Cut(rest, []byte(word))
		if !found {
			break
		}
		p.Write(before)
		p.WriteString("******")
		rest = after
	}
	kept := 0
	if !p.Last() {
		kept = min(len(rest), len(word)-1)
	}
	p.Write(rest[:len(rest)-kept])
	p.Keep(kept)
}

func integrate(r *postern.Request, to *postern.Response) {
	to.Headers().Set("content-type", "text/plain")
	in, out := r.Incoming(), to.Outgoing()
	buffer := make([]byte, 8192)
	for {
		n, err := in.Read(buffer)
		if err == io.EOF {
			err = nil
		}
		if err == nil {
			_, err = out.Write(bytes.ToUpper(buffer[:n])) // a head also for an answer without content
		}
		if err != nil {
			postern.Fail(1, err.Error())
			return
		}
		if n == 0 {
			return
		}
	}
}
