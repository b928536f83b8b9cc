package event

import "github.com/postern-gateway/postern/proxy"

// AppendHeaders appends the request's headers as the event has them, in order of
// arrival and with all of their values, and what the gateway says of the client.
// The strings are valid as long as the exchange.
func AppendHeaders[P ~struct{ Name, Value string }](to []P, ex *proxy.Exchange) []P {
	var few [pairsOnStack]pair
	return appendPairs(to, appendHeaders(few[:0], ex))
}

// AppendQuery appends the parameters of the query string, decoded, in order and
// with all of their values. The strings are valid as long as the exchange.
func AppendQuery[P ~struct{ Name, Value string }](to []P, ex *proxy.Exchange) []P {
	var few [pairsOnStack]pair
	return appendPairs(to, appendQuery(few[:0], ex))
}

func appendPairs[P ~struct{ Name, Value string }](to []P, all []pair) []P {
	for i := range all {
		to = append(to, P{Name: all[i].name, Value: all[i].value})
	}
	return to
}
