package plugins

import (
	"regexp"

	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/jose"
	"github.com/postern-gateway/postern/sdk/abi"
)

// holdings are what the host keeps for one instance under numbers: the n-th of a
// kind has the number n+1. What was made before the first request lasts as long
// as the instance, the rest as long as the call.
type holdings struct {
	regexes   []*expression
	keys      []jose.Keys
	documents []*document.Document

	lastingRegexes, lastingKeys, lastingDocuments int

	spent   int    // work that the host has done in this call, see charge
	scratch []byte // for what is made only to be copied to the guest
}

// expression is a compiled regular expression.
type expression struct {
	*regexp.Regexp
	weight int // instructions of its program: what one byte of text costs at most
}

// held returns in's holdings, which most guests never need.
func (in *instance) held() *holdings {
	if in.holdings == nil {
		in.holdings = &holdings{}
	}
	return in.holdings
}

// endCall forgets what lasts as long as the call; what was made before the first
// request stays.
func (h *holdings) endCall(phase abi.Phase) {
	if phase == abi.Start {
		h.lastingRegexes, h.lastingKeys, h.lastingDocuments = len(h.regexes), len(h.keys), len(h.documents)
	}
	h.regexes = truncate(h.regexes, h.lastingRegexes)
	h.keys = truncate(h.keys, h.lastingKeys)
	h.documents = truncate(h.documents, h.lastingDocuments)
	h.spent = 0
	if cap(h.scratch) > keepBuffer {
		h.scratch = nil
	}
}

func truncate[T any](all []T, n int) []T {
	clear(all[n:])
	return all[:n]
}

// number files something away and returns its number.
func number[T any](all *[]T, one T) int32 {
	if len(*all) >= abi.MaxHeld {
		return abi.Limit
	}
	*all = append(*all, one)
	return int32(len(*all))
}

// numbered returns what has the number n.
func numbered[T any](all []T, n uint64) (one T, ok bool) {
	if n == 0 || n > uint64(len(all)) {
		return one, false
	}
	return all[n-1], true
}

// charge counts work that the host does in the guest's stead and that fuel
// doesn't see: the meter can't interrupt it, so there is a bound for it, in
// roughly nanoseconds for each call.
func (in *instance) charge(work int) bool {
	h := in.held()
	if work < 0 || work > abi.MaxWork-h.spent {
		return false
	}
	h.spent += work
	return true
}
