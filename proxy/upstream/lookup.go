package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// found is a target as the configuration or DNS gives it.
type found struct {
	address string // host:port
	weight  int
	tier    int
}

// backupTier is above the priorities of SRV records.
const backupTier = 1 << 16

func tierOf(e entry) int {
	if e.backup {
		return backupTier
	}
	return 0
}

// maxTargets bounds how many targets DNS can give a backend.
const maxTargets = 1000

// answer is the last good answer for an entry.
type answer struct {
	list []found
	at   time.Time
}

// lookUps keeps the targets up to what DNS says, until ctx ends.
func (b *backend) lookUps(ctx context.Context) {
	last := make([]answer, len(b.entries))
	for {
		list, err := b.lookUp(ctx, last)
		if ctx.Err() != nil {
			return
		}
		b.apply(list, err)
		wait := b.follow
		if err != nil {
			wait = min(wait, time.Second)
		}
		if !rest(ctx, wait) {
			return
		}
	}
}

// lookUp returns what all entries stand for now. Where a look-up fails, its last
// good answer serves for a while; the error is then that of the last failure.
func (b *backend) lookUp(ctx context.Context, last []answer) (list []found, failure error) {
	for i, e := range b.entries {
		got, err := b.expand(ctx, e)
		now := time.Now()
		switch {
		case err == nil:
			last[i] = answer{got, now}
		case now.Sub(last[i].at) > namesStale:
			last[i] = answer{}
			fallthrough
		default:
			failure = fmt.Errorf("look up %s: %w", e.address, err)
		}
		list = append(list, last[i].list...)
	}
	if len(list) > maxTargets {
		b.options.Logger.Warn("DNS gives a backend too many targets: the rest gets no requests",
			zap.String("backend", b.name), zap.Int("targets", len(list)), zap.Int("used", maxTargets))
		list = list[:maxTargets]
	}
	return list, failure
}

// expand returns what e stands for.
func (b *backend) expand(ctx context.Context, e entry) ([]found, error) {
	limited, cancel := context.WithTimeout(ctx, namesWait)
	defer cancel()
	if !e.service {
		return b.addresses(limited, found{e.address, e.weight, tierOf(e)})
	}
	records, err := b.options.ResolveSRV(limited, e.address)
	if err != nil {
		return nil, err
	}
	var list []found
	for _, r := range records {
		if r.Target == "." {
			continue // RFC 2782: there is decidedly no such service
		}
		address := net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
		// A weight of 0 is next to none, not none. RFC 2782.
		got, err := b.addresses(limited, found{address, e.weight * max(1, int(r.Weight)), tierOf(e) + int(r.Priority)})
		if err != nil {
			return nil, err
		}
		list = append(list, got...)
	}
	if len(list) == 0 {
		return nil, errors.New("no such service")
	}
	return list, nil
}

// addresses returns f, or each address of its name if they are wanted.
func (b *backend) addresses(ctx context.Context, f found) ([]found, error) {
	host, port, err := net.SplitHostPort(f.address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil || !b.each {
		return []found{f}, nil
	}
	addresses, err := b.options.Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(addresses) == 0 {
		return nil, errors.New("no address")
	}
	list := make([]found, len(addresses))
	for i, a := range addresses {
		list[i] = found{net.JoinHostPort(a.Unmap().String(), port), f.weight, f.tier}
	}
	return list, nil
}

// apply makes list the targets. Those that were there before stay as they are,
// with connections and health. why says why something is missing.
func (b *backend) apply(list []found, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	first := b.picks.Load().members == nil && !b.known()
	b.broken = why
	var all []*target
	for _, f := range list {
		same := func(t *target) bool { return t.address == f.address }
		if slices.ContainsFunc(all, same) {
			continue // two names can stand for one server
		}
		var t *target
		if i := slices.IndexFunc(b.all, same); i >= 0 {
			t = b.all[i]
		} else if t = b.add(f.address, first); t == nil {
			continue
		}
		t.weight, t.tier = f.weight, f.tier
		all = append(all, t)
	}
	for _, t := range b.all {
		if !slices.Contains(all, t) {
			t.retire()
		}
	}
	b.all = all
	if b.broken == nil && len(all) == 0 {
		b.broken = errors.New("there is no target")
	}
	b.publish()
	if first {
		close(b.looked)
	}
}

// known reports whether apply was called before.
func (b *backend) known() bool {
	select {
	case <-b.looked:
		return true
	default:
		return false
	}
}

// add makes a target; nil when the address can't be one.
func (b *backend) add(address string, first bool) *target {
	t, err := newTarget(address, b.settings, b.options, b.buffers)
	if err != nil {
		b.broken = fmt.Errorf("target %s: %w", address, err)
		return nil
	}
	if !first {
		b.rise(t)
	}
	if b.health != nil && b.running != nil {
		b.watch(t)
	}
	return t
}
