package plugins

import "github.com/postern-gateway/postern/proxy/http1"

// wasmReply is the answer to a request of a guest's own; without a status it failed.
type wasmReply struct {
	status   int
	fields   http1.Fields
	content  []byte
	trailers http1.Fields
}

func (g *proxyWasm) httpCall(s []uint64) wasmStatus { return statusUnimplemented }
