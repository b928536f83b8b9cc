package plugins

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libdns/libdns"

	languages "github.com/postern-gateway/postern/sdk/guests"
)

// zoneGuests are one plugin in several languages: it puts records into the server of
// pebble-challtestsrv, and decides who may have certificates.
var zoneGuests = []struct{ name, source string }{
	{"go", "testdata/wasm/zones/go"},
	{"c", "testdata/wasm/zones/zones.c"},
	{"rust", "testdata/wasm/zones/zones.rs"},
	{"zig", "testdata/wasm/zones/zones.zig"},
}

// challenges is the management of pebble-challtestsrv, as its README says.
type challenges struct {
	mu    sync.Mutex
	texts map[string][]string
	fails bool
}

func (c *challenges) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ask struct{ Host, Value string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || r.Method != http.MethodPost || c.fails {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/set-txt":
		c.texts[ask.Host] = append(c.texts[ask.Host], ask.Value)
	case "/clear-txt":
		delete(c.texts, ask.Host)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (c *challenges) at(host string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.texts[host])
}

// Plugins of all languages put and remove records, and decide about names.
func TestZones(t *testing.T) {
	for _, guest := range zoneGuests {
		t.Run(guest.name, func(t *testing.T) {
			c := &challenges{texts: map[string][]string{}}
			s := httptest.NewServer(c)
			defer s.Close()
			h := newHost(t, Options{})
			begin(t, h, pluginTOML(languages.Build(t, guest.source), httpGrant(s.URL, ""), `config = { url = "`+s.URL+`" }`))
			z := h.Zones("p")
			records := []libdns.Record{libdns.TXT{Name: "_acme-challenge.a", TTL: time.Minute, Text: "proof"}}
			if done, err := z.AppendRecords(t.Context(), "example.com.", records); err != nil || len(done) != 1 {
				t.Fatalf("%v, %v", done, err)
			}
			if got := c.at("_acme-challenge.a.example.com."); !slices.Equal(got, []string{"proof"}) {
				t.Errorf("there are %q", got)
			}
			if _, err := z.DeleteRecords(t.Context(), "example.com.", records); err != nil {
				t.Error(err)
			}
			if got := c.at("_acme-challenge.a.example.com."); len(got) > 0 {
				t.Errorf("left: %q", got)
			}
			c.mu.Lock()
			c.fails = true
			c.mu.Unlock()
			if _, err := z.AppendRecords(t.Context(), "example.com.", records); err == nil || !strings.Contains(err.Error(), `plugin "p", dns`) {
				t.Errorf("what fails there is %v here", err)
			}
			for name, want := range map[string]bool{"a.example.com": true, "b.example.com": false} {
				for _, client := range []netip.Addr{{}, netip.MustParseAddr("192.0.2.1")} {
					if may, err := h.Certify(t.Context(), "p", name, client); may != want || err != nil {
						t.Errorf("%s: %v, %v", name, may, err)
					}
				}
			}
		})
	}
}

// A plugin that can't, that there isn't, or that fails, neither puts records nor
// allows anything; one that is wanted for what it can't is a finding.
func TestZonesRefused(t *testing.T) {
	h := newHost(t, Options{})
	text := pluginTOML(guest(t, "native"))
	begin(t, h, text)
	for _, name := range []string{"p", "q"} {
		if may, err := h.Certify(t.Context(), name, "a.example.com", netip.Addr{}); may || err == nil {
			t.Errorf("%s: %v, %v", name, may, err)
		}
		if _, err := h.Zones(name).AppendRecords(t.Context(), "example.com.", []libdns.Record{libdns.TXT{Name: "a", Text: "x"}}); err == nil {
			t.Errorf("%s put a record", name)
		}
	}
	text += "\n[acme]\nagreed = true\n[acme.dns.z]\ntype = \"wasm\"\nplugin = \"p\"\n[acme.on_demand]\nplugin = \"p\"\n"
	g, findings := h.Begin(t.Context(), parse(t, text))
	defer g.Discard()
	if got := findings.Text(); !strings.Contains(got, `acme.dns.z.plugin: plugin "p" can't change DNS zones`) || !strings.Contains(got, `acme.on_demand.plugin: plugin "p" can't decide about certificates`) {
		t.Error(got)
	}
}

// Calls about names get none of a request's fields, and none of its functions.
func TestNamesFields(t *testing.T) {
	n := naming{name: "a.example.com", client: netip.MustParseAddr("2001:db8::1"), action: "present", zone: "example.com", value: "x", ttl: time.Minute}
	in := &instance{naming: n}
	for number, want := range map[int32]string{17: "a.example.com", 10: "2001:db8::1", 26: "present", 27: "example.com", 28: "a.example.com", 29: "x", 30: "60"} {
		if got, ok := in.field(number); !ok || got != want {
			t.Errorf("field %d: %q", number, got)
		}
	}
	if got, ok := in.field(1); ok || got != "" {
		t.Errorf("field 1: %q", got)
	}
}
