//go:build wasip1

// Command judge is a Lambda authorizer: it gets AWS's event and answers with a
// policy, or simply, as the token says.
package main

import (
	"encoding/json"
	"os"
	"strings"
)

// event is what it reads of the events.
type event struct {
	Version            string
	Type               string
	AuthorizationToken string
	MethodArn          string
	RouteArn           string
	Headers            map[string]string
}

func main() {
	var e event
	if err := json.NewDecoder(os.Stdin).Decode(&e); err != nil {
		panic(err)
	}
	token, arn := e.AuthorizationToken, e.MethodArn
	for name, value := range e.Headers {
		if strings.EqualFold(name, "Authorization") {
			token = value
		}
	}
	if e.Version == "2.0" {
		answer(map[string]any{"isAuthorized": token == "allow", "context": map[string]any{"of": e.RouteArn, "list": []int{1, 2}}})
		return
	}
	switch token {
	case "nobody":
		answer(map[string]any{"errorMessage": "Unauthorized", "errorType": "Error"})
	case "broken":
		os.Exit(1)
	case "allow":
		answer(policy("Allow", arn))
	case "all":
		answer(policy("Allow", "*"))
	default:
		answer(policy("Deny", arn))
	}
}

func policy(effect, resource string) map[string]any {
	return map[string]any{
		"principalId": "anna",
		"policyDocument": map[string]any{
			"Version":   "2012-10-17",
			"Statement": []any{map[string]any{"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}},
		},
		"context": map[string]any{"tier": "gold", "level": 7, "on": true},
	}
}

func answer(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		panic(err)
	}
}
