package proxy

import "strings"

// Action is what a policy allows or denies.
type Action uint8

// The actions. AWS: "Actions, resources, and condition keys for API Gateway".
const (
	Invoke            Action = iota // execute-api:Invoke
	InvalidateCache                 // execute-api:InvalidateCache
	ManageConnections               // execute-api:ManageConnections
)

// Decision is what a policy says of an action.
type Decision uint8

// The decisions.
const (
	Undecided Decision = iota // no statement fits: denied, unless another policy allows
	Allowed
	Denied // by a statement, which no other policy can outweigh
)

// Policy says who may do what to which methods.
type Policy interface {
	// Decide judges a on the method that ex calls, by ex's caller. It waits for
	// nothing and is safe for concurrent use.
	Decide(ex *Exchange, a Action) Decision
}

// AppendMethodARN appends the name of the method that ex calls,
// "arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/VERB/PATH", or ".../STAGE/ROUTE" in a
// WebSocket API, its path as the client
// wrote it, less a slash at its end. Authorizers write this name into policies, so
// what has a meaning there, a star or the beginning of a variable, is escaped: else
// a client's /* would be let in everywhere. AWS: "Amazon Resource Name (ARN) format
// of permissions for executing API in API Gateway".
func AppendMethodARN(dst []byte, ex *Exchange) []byte {
	stage := ex.Route.Stage
	dst = append(dst, "arn:aws:execute-api:"...)
	dst = append(dst, stage.API.Region...)
	dst = append(dst, ':')
	dst = append(dst, stage.API.AccountID...)
	dst = append(dst, ':')
	dst = append(dst, stage.API.ID...)
	dst = append(dst, '/')
	dst = append(dst, stage.Name...)
	dst = append(dst, '/')
	if ex.Socket != nil {
		return append(dst, ex.Route.Key...)
	}
	dst = append(dst, ex.Method...)
	dst = append(dst, '/')
	path := strings.TrimSuffix(strings.TrimPrefix(ex.Path, "/"), "/")
	for i := range len(path) {
		switch c := path[i]; c {
		case '*':
			dst = append(dst, "%2A"...)
		case '{':
			dst = append(dst, "%7B"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
