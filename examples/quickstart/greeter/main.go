//go:build wasip1

// Command greeter is a WebAssembly function for the quickstart: it greets whom
// the path names, in the words of the stage.
package main

import (
	"encoding/json"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() { postern.Handle(greet) }

func main() {} // the gateway calls greet; this never runs

// event is the part of AWS's proxy event that the greeter reads.
type event struct {
	PathParameters map[string]string `json:"pathParameters"`
	StageVariables map[string]string `json:"stageVariables"`
	RequestContext struct {
		RequestID string `json:"requestId"`
		Stage     string `json:"stage"`
	} `json:"requestContext"`
}

func greet(e postern.Event) postern.Answer {
	var in event
	if err := json.Unmarshal(e, &in); err != nil {
		return postern.Answer{Status: 500, Body: err.Error()}
	}
	greeting := in.StageVariables["greeting"]
	if greeting == "" {
		greeting = "Hello"
	}
	body, err := json.Marshal(map[string]string{
		"message": greeting + ", " + in.PathParameters["name"] + "!",
		"stage":   in.RequestContext.Stage,
		"request": in.RequestContext.RequestID,
	})
	if err != nil {
		return postern.Answer{Status: 500, Body: err.Error()}
	}
	return postern.Answer{
		Headers: []postern.Header{{Name: "Content-Type", Value: "application/json"}},
		Body:    string(body),
	}
}
