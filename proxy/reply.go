package proxy

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/postern-gateway/postern/proxy/http1"
)

// Fail makes f the exchange's fault and its gateway response the reply.
// AWS: "Gateway response types for API Gateway".
func (ex *Exchange) Fail(f Fault) {
	row := f.Kind.row()
	if ex.HTTP {
		row = faultRow{name: row.name, status: f.inHTTPAPI()}
	}
	if ex.Fault == nil { // the first failure is the one to explain
		ex.fault = f
		ex.Fault = &ex.fault
	}
	ex.Reply = Response{Status: row.status, Fields: ex.Reply.Fields[:0]}
	if row.errorType != "" {
		ex.Reply.Fields.Add("x-amzn-ErrorType", row.errorType)
	}
	switch {
	case f.RetryAfter > 0:
		ex.Reply.Fields.Add("Retry-After", strconv.Itoa(f.RetryAfter))
	case f.Kind == Overloaded:
		ex.Reply.Fields.Add("Retry-After", "1")
	}
	if f.Challenge != "" {
		ex.Reply.Fields.Add("WWW-Authenticate", f.Challenge)
	}
	ex.Reply.Fields = append(ex.Reply.Fields, http1.NewField("Content-Type", "application/json"))
	ex.Reply.Content = faultContent(row, f.Text())
	if ex.Stage != nil && ex.Stage.Refusal != nil {
		ex.Stage.Refusal.Refuse(ex, f)
	}
}

func faultContent(row faultRow, message string) []byte {
	text := []byte("null")
	if message != "" {
		text, _ = json.Marshal(message) // a string always marshals
	}
	key := `{"message":`
	if row.capital {
		key = `{"Message":`
	}
	return append(append([]byte(key), text...), '}')
}

// Refuse answers an exchange that no pipeline runs: no route, or a request that
// the server refuses before it has one.
func (ex *Exchange) Refuse(f Fault) {
	ex.Fail(f)
	ex.finish()
}

// Answer replies with what the server has to say itself, before any route is looked
// for: a redirect, or the proof that a domain is its own.
func (ex *Exchange) Answer(status int, content []byte, fields ...http1.Field) {
	ex.Reply = Response{Status: status, Fields: append(ex.Reply.Fields[:0], fields...), Content: content}
	ex.finish()
}

// Interrupt notes why a reply that had begun did not get to its end: a Fault, or
// what the integration's content failed with. The reply stays as it is.
func (ex *Exchange) Interrupt(cause error) {
	f, ok := cause.(Fault)
	if !ok {
		f = Fault{Kind: IntegrationFailure, Cause: cause}
	}
	ex.fault = f
	ex.Fault = &ex.fault
}

// finish adds what every reply carries. AWS: "Amazon API Gateway important notes", as recorded.
func (ex *Exchange) finish() {
	r := &ex.Reply
	if r.Status == 101 {
		return
	}
	if last := ex.last(); last != nil {
		_, _ = last.Run(context.Background(), ex) // it waits for nothing, and can't fail
	}
	if ex.HTTP {
		ex.finishHTTP()
		return
	}
	if !r.Fields.HasKnown(http1.ContentType) && r.Status != 204 && r.Status != 304 {
		r.Fields = http1.AppendKnown(r.Fields, http1.ContentType, "application/json")
	}
	r.Fields = http1.AppendKnown(r.Fields, http1.XAmznRequestID, ex.ID)
	r.Fields = http1.AppendKnown(r.Fields, http1.XAmzApigwID, ex.ExtendedID)
}

// last returns who has the last word on the reply; nil for nobody.
func (ex *Exchange) last() Step {
	switch {
	case ex.Route != nil:
		return ex.Route.Last
	case ex.Stage != nil:
		return ex.Stage.Last
	}
	return nil
}
