package trial

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/libdns/libdns"
)

// aboutNames reports whether a role is about names, and no requests.
func aboutNames(role string) bool { return role == "dns" || role == "certify" }

// names checks a role that is about names: that it can be called, again too, and that
// nothing is allowed or counts as done when the guest traps, at any call of its.
func (k *checker) names(ctx context.Context, b *Bench, role string) {
	if !k.serving {
		b.generation.Commit() // calls about names go to the generation that runs
		k.serving = true
	}
	records := []libdns.Record{libdns.TXT{Name: "_acme-challenge.trial", TTL: time.Minute, Text: "a-proof"}}
	call := func() (string, error) {
		b.reset()
		if role == "certify" {
			may, err := b.host.Certify(ctx, k.name, "trial.example.com", netip.MustParseAddr("192.0.2.1"))
			return map[bool]string{true: "allow", false: "deny"}[may], err
		}
		zones := b.host.Zones(k.name)
		if _, err := zones.AppendRecords(ctx, "example.com.", records); err != nil {
			return "", err
		}
		_, err := zones.DeleteRecords(ctx, "example.com.", records)
		return "done", err
	}
	first, err := call()
	if err != nil {
		grade := Bad
		if strings.Contains(err.Error(), "fail: ") {
			grade = Weak // it says itself that it can't
		}
		k.failing = append(k.failing, role)
		k.add(role, "ordinary name", grade, firstLine(err.Error()))
		return
	}
	calls, _ := b.reset()
	k.add(role, "ordinary name", Good, fmt.Sprintf("%s, with %d calls of the gateway", first, len(calls)))
	second, err := call()
	if err != nil || second != first {
		k.add(role, "same name again", Bad, fmt.Sprintf("%s, then %s, %v", first, second, err))
		return
	}
	k.add(role, "same name again", Good, second)
	b.reset()
	for n := 1; n <= len(calls); n++ {
		b.trapAt(n)
		if said, err := call(); err == nil && said != "deny" {
			k.add(role, "trap", Bad, fmt.Sprintf("a trap in call %d (%s) counts as %s", n, calls[n-1].Function, said))
			b.trapAt(0)
			return
		}
	}
	b.trapAt(0)
	b.reset()
	if said, err := call(); err != nil {
		k.add(role, "trap", Note, fmt.Sprintf("after %d traps: %s, %v", len(calls), said, err))
		return
	}
	k.add(role, "trap", Good, fmt.Sprintf("in each of %d calls: nothing counted as done", len(calls)))
}
