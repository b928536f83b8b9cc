//go:build wasip1

// Command reach is an authorizer that asks two servers about a token, both at
// once, and counts in the namespace of kv how often it was asked: the fourth time
// it asks nobody. Its configuration has the servers; the header X-Ask replaces
// the second.
package main

import (
	"encoding/json"
	"io"
	"strconv"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	r := new(reach)
	postern.Configure(r.configure)
	postern.Authorize(r.decide)
}

func main() {} // the gateway calls the methods; this never runs

type reach struct {
	One, Other string
	asked      postern.Metric
}

func (r *reach) configure(config []byte) (err error) {
	if err := json.Unmarshal(config, r); err != nil {
		return err
	}
	r.asked, err = postern.DefineMetric(postern.Counter, "asked")
	return err
}

func (r *reach) decide(q *postern.Request) postern.Decision {
	token, other := q.Header("Authorization"), r.Other
	if ask := q.Header("X-Ask"); ask != "" {
		other = ask
	}
	n, err := postern.KVAdd("asked "+token, 1, 0)
	if err != nil {
		postern.Fail(1, err.Error())
	}
	q.SetContext("asked", strconv.FormatInt(n, 10))
	if n > 3 {
		return postern.Unauthenticated
	}
	var replies []postern.Reply
	for _, url := range []string{other, r.One} {
		call := postern.Call{URL: url, Headers: []postern.Header{{Name: "Authorization", Value: token}}}
		reply, err := call.Send()
		if err != nil {
			postern.Fail(2, err.Error())
			return 0
		}
		replies = append(replies, reply)
	}
	if r.asked.Add(int64(len(replies))) != nil {
		return 0
	}
	decision := postern.Allow
	for _, reply := range replies { // all of them: what still waits ends with the call
		status, err := reply.Status()
		if err != nil || status != 200 {
			decision = postern.Deny
			continue
		}
		who, err := io.ReadAll(reply)
		if err != nil {
			decision = postern.Deny
			continue
		}
		q.SetPrincipal(string(who))
	}
	return decision
}
