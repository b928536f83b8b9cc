package zone_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libdns/libdns"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/zone"
	"github.com/postern-gateway/postern/proxy/zone/zonetest"
)

// suite runs what every provider does: put several values at one name, and remove
// one without the others, and one that isn't there. texts returns what is there.
func suite(t *testing.T, p zone.Provider, texts func() []string) {
	t.Helper()
	r := func(text string) []libdns.Record {
		return []libdns.Record{libdns.TXT{Name: "_acme-challenge.a", TTL: time.Minute, Text: text}}
	}
	want := func(all ...string) {
		t.Helper()
		got := texts()
		slices.Sort(got)
		if !slices.Equal(got, all) {
			t.Errorf("there are %q, want %q", got, all)
		}
	}
	var work sync.WaitGroup
	for _, text := range []string{"one", "two"} { // at the same time, as for a name and its wildcard
		work.Go(func() {
			if made, err := p.AppendRecords(t.Context(), "example.com.", r(text)); err != nil || len(made) != 1 {
				t.Errorf("%v, %v", made, err)
			}
		})
	}
	work.Wait()
	want("one", "two")
	for _, text := range []string{"one", "one"} {
		if _, err := p.DeleteRecords(t.Context(), "example.com.", r(text)); err != nil {
			t.Error(err)
		}
	}
	want("two")
	if _, err := p.DeleteRecords(t.Context(), "example.com.", r("two")); err != nil {
		t.Error(err)
	}
	want()
	if _, err := p.AppendRecords(t.Context(), "example.org.", r("x")); err == nil {
		t.Error("a zone of nobody's takes records")
	}
	if _, err := p.AppendRecords(t.Context(), "example.com.", []libdns.Record{libdns.RR{Name: "a", Type: "A", Data: "127.0.0.1"}}); err == nil {
		t.Error("took an A record")
	}
}

func provider(t *testing.T, z config.Zones) zone.Provider {
	t.Helper()
	p, err := zone.New(z)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const key = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="

func TestUpdates(t *testing.T) {
	for _, algorithm := range []string{"", "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"} {
		t.Run(algorithm, func(t *testing.T) {
			o := zonetest.Options{Zones: []string{"example.com."}}
			z := config.Zones{Type: "rfc2136"}
			if algorithm != "" {
				o.KeyName, o.Key = "postern", key
				z.KeyName, z.KeyAlgorithm, z.Key = "postern", algorithm, key
			}
			s := zonetest.Start(t, o)
			z.Server = s.Addr
			suite(t, provider(t, z), func() []string { return s.Texts("_acme-challenge.a.example.com") })
		})
	}
	s := zonetest.Start(t, zonetest.Options{Zones: []string{"example.com."}, KeyName: "postern", Key: key})
	wrong := provider(t, config.Zones{Type: "rfc2136", Server: s.Addr, KeyName: "postern", KeyAlgorithm: "hmac-sha256", Key: "d3Jvbmc="})
	if _, err := wrong.AppendRecords(t.Context(), "example.com.", []libdns.Record{libdns.TXT{Name: "a", Text: "x"}}); err == nil || strings.Contains(err.Error(), "d3Jvbmc") {
		t.Errorf("a wrong key: %v", err)
	}
	if _, err := zone.New(config.Zones{Type: "rfc2136", KeyName: "postern", Key: "no base64!"}); err == nil || strings.Contains(err.Error(), "no base64!") {
		t.Errorf("no key at all: %v", err)
	}
}

// fakeCloudflare is its API, as far as "DNS Records for a Zone" and "List Zones" say.
type fakeCloudflare struct {
	mu      sync.Mutex
	last    int
	records map[string]map[string]any
}

func (f *fakeCloudflare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	say := func(status int, result any, failure string) {
		errors := []any{}
		if failure != "" {
			errors = append(errors, map[string]any{"code": 10000, "message": failure})
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"success": failure == "", "errors": errors, "result": result})
	}
	if r.Header.Get("Authorization") != "Bearer token" {
		say(403, nil, "Authentication error")
		return
	}
	switch path := r.URL.Path; {
	case path == "/zones":
		found := []any{}
		if r.URL.Query().Get("name") == "example.com" {
			found = append(found, map[string]any{"id": "z1"})
		}
		say(200, found, "")
	case path == "/zones/z1/dns_records" && r.Method == http.MethodPost:
		var record map[string]any
		if err := json.NewDecoder(r.Body).Decode(&record); err != nil || record["ttl"].(float64) < 60 {
			say(400, nil, "Bad record")
			return
		}
		f.last++
		record["id"] = fmt.Sprint("r", f.last)
		f.records[record["id"].(string)] = record
		say(200, record, "")
	case path == "/zones/z1/dns_records":
		found := []any{}
		for _, record := range f.records {
			if record["name"] == r.URL.Query().Get("name") && record["type"] == r.URL.Query().Get("type") {
				found = append(found, record)
			}
		}
		say(200, found, "")
	case r.Method == http.MethodDelete:
		delete(f.records, strings.TrimPrefix(path, "/zones/z1/dns_records/"))
		say(200, map[string]any{}, "")
	default:
		say(404, nil, "Not found")
	}
}

func TestCloudflare(t *testing.T) {
	f := &fakeCloudflare{records: map[string]map[string]any{}}
	s := httptest.NewServer(f)
	defer s.Close()
	suite(t, provider(t, config.Zones{Type: "cloudflare", Token: "token", Endpoint: s.URL}), func() []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		var all []string
		for _, r := range f.records {
			if r["name"] == "_acme-challenge.a.example.com" {
				all = append(all, strings.Trim(r["content"].(string), `"`))
			}
		}
		return all
	})
	wrong := provider(t, config.Zones{Type: "cloudflare", Token: "hush", Endpoint: s.URL})
	_, err := wrong.AppendRecords(t.Context(), "example.com.", []libdns.Record{libdns.TXT{Name: "a", Text: "x"}})
	if err == nil || !strings.Contains(err.Error(), "Authentication error") || strings.Contains(err.Error(), "hush") {
		t.Errorf("a wrong token: %v", err)
	}
}

// fakeRoute53 is its API, as far as its reference says of what we use of it: a record
// set is changed as a whole, and a batch that doesn't fit it is refused.
type fakeRoute53 struct {
	t *testing.T

	mu      sync.Mutex
	values  []string
	meddle  int // how often somebody else is faster
	pending int
}

func (f *fakeRoute53) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKID/") || !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/route53/aws4_request") {
		w.WriteHeader(403)
		io.WriteString(w, `<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
		return
	}
	switch path := r.URL.Path; {
	case path == "/2013-04-01/hostedzonesbyname":
		io.WriteString(w, `<ListHostedZonesByNameResponse><HostedZones>
			<HostedZone><Id>/hostedzone/ZPRIVATE</Id><Name>example.com.</Name><Config><PrivateZone>true</PrivateZone></Config></HostedZone>
			<HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name><Config><PrivateZone>false</PrivateZone></Config></HostedZone>
			</HostedZones></ListHostedZonesByNameResponse>`)
	case path == "/2013-04-01/hostedzone/Z1/rrset":
		sets := `<ResourceRecordSet><Name>next.example.com.</Name><Type>TXT</Type><TTL>5</TTL><ResourceRecords><ResourceRecord><Value>"x"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>`
		if len(f.values) > 0 {
			sets = f.set()
		}
		io.WriteString(w, "<ListResourceRecordSetsResponse><ResourceRecordSets>"+sets+"</ResourceRecordSets></ListResourceRecordSetsResponse>")
		if f.meddle > 0 {
			f.meddle--
			f.values = append(f.values, fmt.Sprintf("%q", "other"+fmt.Sprint(f.meddle)))
		}
	case path == "/2013-04-01/hostedzone/Z1/rrset/":
		f.change(w, r)
	case path == "/2013-04-01/change/C1":
		f.pending--
		status := "PENDING"
		if f.pending <= 0 {
			status = "INSYNC"
		}
		io.WriteString(w, "<GetChangeResponse><ChangeInfo><Id>/change/C1</Id><Status>"+status+"</Status></ChangeInfo></GetChangeResponse>")
	default:
		w.WriteHeader(404)
	}
}

func (f *fakeRoute53) set() string {
	var b bytes.Buffer
	b.WriteString("<ResourceRecordSet><Name>_acme-challenge.a.example.com.</Name><Type>TXT</Type><TTL>60</TTL><ResourceRecords>")
	for _, v := range f.values {
		b.WriteString("<ResourceRecord><Value>")
		_ = xml.EscapeText(&b, []byte(v))
		b.WriteString("</Value></ResourceRecord>")
	}
	b.WriteString("</ResourceRecords></ResourceRecordSet>")
	return b.String()
}

func (f *fakeRoute53) change(w http.ResponseWriter, r *http.Request) {
	var batch struct {
		XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsRequest"`
		Changes []struct {
			Action string
			Name   string   `xml:"ResourceRecordSet>Name"`
			Values []string `xml:"ResourceRecordSet>ResourceRecords>ResourceRecord>Value"`
		} `xml:"ChangeBatch>Changes>Change"`
	}
	if err := xml.NewDecoder(r.Body).Decode(&batch); err != nil {
		f.t.Errorf("batch: %v", err)
	}
	values := f.values
	for _, c := range batch.Changes {
		switch {
		case c.Action == "DELETE" && slices.Equal(c.Values, values) && len(values) > 0:
			values = nil
		case c.Action == "CREATE" && len(values) == 0 && len(c.Values) > 0:
			values = c.Values
		default:
			w.WriteHeader(400)
			io.WriteString(w, `<InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>it isn't so</Message></Messages></InvalidChangeBatch>`)
			return
		}
	}
	f.values, f.pending = values, 1
	io.WriteString(w, "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status></ChangeInfo></ChangeResourceRecordSetsResponse>")
}

func TestRoute53(t *testing.T) {
	f := &fakeRoute53{t: t}
	s := httptest.NewServer(f)
	defer s.Close()
	z := config.Zones{Type: "route53", AccessKeyID: "AKID", SecretAccessKey: "hush", Endpoint: s.URL}
	texts := func() []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		var all []string
		for _, v := range f.values {
			all = append(all, strings.Trim(v, `"`))
		}
		return all
	}
	suite(t, provider(t, z), texts)
	// Somebody else changes the set in between: nothing of theirs is lost.
	f.mu.Lock()
	f.meddle = 2
	f.mu.Unlock()
	if _, err := provider(t, z).AppendRecords(t.Context(), "example.com.", []libdns.Record{libdns.TXT{Name: "_acme-challenge.a", Text: "mine"}}); err != nil {
		t.Error(err)
	}
	got := texts()
	slices.Sort(got)
	if !slices.Equal(got, []string{"mine", "other0", "other1"}) {
		t.Errorf("there are %q", got)
	}
	z.AccessKeyID = "ELSE"
	if _, err := provider(t, z).AppendRecords(t.Context(), "example.com.", nil); err == nil || !strings.Contains(err.Error(), "AccessDenied") || strings.Contains(err.Error(), "hush") {
		t.Errorf("a wrong key: %v", err)
	}
}

// The resolver finds zones, aliases and addresses, and knows who hasn't a record.
func TestResolver(t *testing.T) {
	s := zonetest.Start(t, zonetest.Options{Zones: []string{"example.com.", "deep.b.example.com."}})
	s.Alias("alias.example.com", "x.deep.b.example.com")
	s.Alias("loop.example.com", "loop.example.com")
	r := zone.NewResolver([]string{"127.0.0.1:1", s.Addr}) // the first one doesn't answer
	for name, want := range map[string]string{"a.b.example.com": "example.com.", "x.deep.b.example.com.": "deep.b.example.com.", "example.com": "example.com."} {
		if got, err := r.Zone(t.Context(), name); err != nil || got != want {
			t.Errorf("zone of %s: %q, %v", name, got, err)
		}
	}
	if got, err := r.Zone(t.Context(), "a.example.org"); err == nil {
		t.Errorf("zone of nobody's name: %q", got)
	}
	if got, err := r.Target(t.Context(), "alias.example.com"); err != nil || got != "x.deep.b.example.com." {
		t.Errorf("target %q, %v", got, err)
	}
	if got, err := r.Target(t.Context(), "loop.example.com"); err == nil {
		t.Errorf("target of a loop: %q", got)
	}
	if got, err := r.Addresses(t.Context(), "alias.example.com"); err != nil || len(got) != 1 || got[0].String() != "127.0.0.1" {
		t.Errorf("addresses %v, %v", got, err)
	}
	if err := zone.NewResolver([]string{s.Addr}).Knows(t.Context(), "example.com.", "a.example.com.", "x"); err == nil || !strings.Contains(err.Error(), s.Addr) {
		t.Errorf("a record that isn't there: %v", err)
	}
}
