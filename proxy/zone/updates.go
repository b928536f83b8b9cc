package zone

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/libdns/libdns"
	"github.com/miekg/dns"

	"github.com/postern-gateway/postern/proxy/config"
)

// updates changes zones by dynamic updates, signed or not. RFC 2136, RFC 8945.
type updates struct {
	server    string
	keyName   string // "" for no signature
	algorithm string
	key       string
}

func newUpdates(z config.Zones) (*updates, error) {
	u := &updates{server: z.Server}
	if z.KeyName == "" {
		return u, nil
	}
	if _, err := base64.StdEncoding.DecodeString(z.Key); err != nil {
		return nil, &config.KeyError{Path: []string{"key"}, Text: "the key isn't base64"} // and isn't quoted
	}
	u.keyName, u.algorithm, u.key = dns.CanonicalName(z.KeyName), dns.Fqdn(z.KeyAlgorithm), z.Key
	return u, nil
}

// fudge is how far the server's clock may be off, in seconds. RFC 8945, 10.
const fudge = 300

// AppendRecords implements libdns.RecordAppender, for TXT records: all or none.
func (u *updates) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return u.change(ctx, zone, records, (*dns.Msg).Insert)
}

// DeleteRecords implements libdns.RecordDeleter, for TXT records: all or none.
func (u *updates) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return u.change(ctx, zone, records, (*dns.Msg).Remove)
}

func (u *updates) change(ctx context.Context, zone string, records []libdns.Record, how func(*dns.Msg, []dns.RR)) ([]libdns.Record, error) {
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(zone))
	var changed []libdns.Record
	for _, r := range records {
		t, err := textOf(r)
		if err != nil {
			return nil, err
		}
		rr := &dns.TXT{Hdr: dns.RR_Header{
			Name: Absolute(t.Name, zone), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(t.TTL / time.Second),
		}, Txt: pieces(t.Text)}
		how(m, []dns.RR{rr})
		changed = append(changed, t)
	}
	// Over TCP: an update may be sent twice over UDP, and is small enough to wait for.
	client := &dns.Client{Net: "tcp", Timeout: patience}
	if u.keyName != "" {
		client.TsigSecret = map[string]string{u.keyName: u.key}
		m.SetTsig(u.keyName, u.algorithm, fudge, time.Now().Unix())
	}
	answer, _, err := client.ExchangeContext(ctx, m, u.server)
	switch {
	case err != nil:
		return nil, fmt.Errorf("update of %s at %s: %w", zone, u.server, err)
	case answer.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("update of %s at %s: %s%s", zone, u.server, dns.RcodeToString[answer.Rcode], u.hint(answer))
	}
	return changed, nil
}

// hint says what a refusal is about, if the server says. RFC 8945, 5.2.
func (u *updates) hint(answer *dns.Msg) string {
	if t := answer.IsTsig(); t != nil && t.Error != dns.RcodeSuccess {
		return ": signature: " + dns.RcodeToString[int(t.Error)]
	}
	return ""
}

// pieces cuts a text into strings that fit a record. RFC 1035, 3.3.14.
func pieces(text string) []string {
	const most = 255
	var all []string
	for len(text) > most {
		all = append(all, escaped(text[:most]))
		text = text[most:]
	}
	return append(all, escaped(text))
}

// escaped keeps package dns from finding its escapes in s.
func escaped(s string) string {
	return strings.ReplaceAll(s, `\`, `\\`)
}

var _ Provider = (*updates)(nil)
