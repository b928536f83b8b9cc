//go:build wasip1

// Command mapping maps requests and answers for a backend that speaks another
// JSON, and checks what it is sent.
package main

import (
	"strings"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	postern.Validate(validate)
	postern.MapRequests(mapRequest)
	postern.MapResponses(mapResponse)
}

func main() {} // the gateway calls the functions; this never runs

// validate wants an object with a name.
func validate(r *postern.Request) postern.Judgement {
	if strings.Trim(r.Query("limit"), "0123456789") != "" {
		return postern.InvalidParameters
	}
	document, err := postern.OpenJSON(r.Body())
	if err != nil || document.Kind("$.name") != postern.String {
		return postern.InvalidBody
	}
	return postern.Valid
}

// mapRequest makes {"name":N} into {"name":N,"from":ADDRESS}.
func mapRequest(r *postern.Request, to *postern.Backend) {
	document, err := postern.OpenJSON(r.Body())
	if err == nil {
		err = document.SetText("$.from", r.SourceIP())
	}
	if err == nil {
		err = document.WriteTo(to.Body())
	}
	if err != nil {
		postern.Fail(1, err.Error())
	}
	to.Headers().Set("x-api", r.API())
}

// mapResponse makes {"pet":P} into {"data":{"pet":P}} and 404 into 410.
func mapResponse(_ *postern.Request, to *postern.Response) {
	if to.BackendStatus() == 404 {
		to.SetStatus(410)
	}
	was := to.Body().Bytes()
	to.Headers().Set("content-type", "application/json")
	to.Body().WriteString(`{"data":`)
	to.Body().Write(was)
	to.Body().WriteString("}")
}
