package plugins

import (
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// bag is what one plugin keeps about one exchange, from call to call.
type bag struct {
	mu      sync.Mutex // guards what follows
	entries []proxy.Param
	size    int  // of names and values, bytes
	shared  bool // content on its way sees it, too: entries are never changed, but replaced
}

// bagKey is a plugin as the key of its bag in an exchange.
type bagKey plugin

// bag returns the plugin's bag, or nil for one that nothing was put into.
func (in *instance) bag() *bag {
	if in.piece != nil {
		return in.piece.bag
	}
	b, _ := in.ex.Kept((*bagKey)(in.plugin)).(*bag)
	return b
}

// bagOf returns the plugin's bag of ex, which it makes if there is none.
func (p *plugin) bagOf(ex *proxy.Exchange) *bag {
	b, _ := ex.Kept((*bagKey)(p)).(*bag)
	if b == nil {
		b = &bag{}
		ex.Keep((*bagKey)(p), b)
	}
	return b
}

// share makes b ready for being used by two goroutines.
func (b *bag) share() *bag {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shared = true
	return b
}

// list returns the entries as they are now.
func (b *bag) list() []proxy.Param {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries
}

// own makes entries ready for a change. b.mu is held.
func (b *bag) own() {
	if b.shared {
		b.entries = slices.Clone(b.entries)
	}
}

// bagged returns what is in the bag.
func (in *instance) bagged() []proxy.Param {
	if b := in.bag(); b != nil {
		return b.list()
	}
	return nil
}

// putInBag sets an entry, at once: the bag isn't part of a draft.
func (in *instance) putInBag(name, value string) int32 {
	if name == "" || !utf8.ValidString(name) {
		return abi.BadArgument
	}
	b := in.bag()
	if b == nil {
		b = in.plugin.bagOf(in.ex)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.entries, func(p proxy.Param) bool { return p.Name == name })
	size := b.size + len(name) + len(value)
	if at >= 0 {
		size -= len(name) + len(b.entries[at].Value)
	}
	if size > abi.MaxBag || at < 0 && len(b.entries) >= abi.MaxBagEntries {
		return abi.Limit
	}
	kept, ok := in.keep(value)
	if !ok {
		return abi.Limit
	}
	b.own()
	if at < 0 {
		if name, ok = in.keep(name); !ok {
			return abi.Limit
		}
		b.entries = append(b.entries, proxy.Param{Name: name, Value: kept})
	} else {
		b.entries[at].Value = kept
	}
	b.size = size
	return abi.OK
}

// takeFromBag removes an entry and returns how many there were.
func (in *instance) takeFromBag(name string) int32 {
	b := in.bag()
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.entries, func(p proxy.Param) bool { return p.Name == name })
	if at < 0 {
		return 0
	}
	b.own()
	b.size -= len(name) + len(b.entries[at].Value)
	b.entries = slices.Delete(b.entries, at, at+1)
	return 1
}
