package proxytest

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
	"github.com/postern-gateway/postern/sdk/guests"
)

// A wildcard's certificate is got by a plugin that puts records into a zone, whatever
// language it is written in; and names below another one when they are first asked
// for, if the plugin allows it.
func TestNamesByPlugins(t *testing.T) {
	for name, source := range map[string]string{"go": "testdata/wasm/zones/go", "c": "testdata/wasm/zones/zones.c"} {
		t.Run(name, func(t *testing.T) {
			s := newSecured(t, pebbletest.Options{})
			more := fmt.Sprintf(`[plugin.zones]
module = %q
config = { url = %q }
http = { allow = [%[2]q], private = true }
[acme.dns.main]
type = "wasm"
plugin = "zones"
zone = "postern.test"
resolvers = [%q]
[acme.on_demand]
plugin = "zones"
`, guests.Build(t, source), s.ca.ChallTest, s.ca.DNS)
			s.apply("", "", `"*.postern.test" = { map."/" = "pets:prod" }
"*.shops.test" = { map."/" = "pets:prod", certificate = "on_demand" }
`+more)
			get := func(host string) (string, error) {
				client := s.client(false)
				answer, err := client.Get("https://" + host + "/")
				if err != nil {
					return "", err
				}
				defer answer.Body.Close()
				text, err := io.ReadAll(answer.Body)
				return string(text), err
			}
			var got string
			var err error
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				if got, err = get("any.postern.test"); err == nil {
					break
				}
			}
			if got != `"any.postern.test"` {
				t.Errorf("the wildcard's: %q, %v", got, err)
			}
			if got, err := get("ada.shops.test"); got != `"ada.shops.test"` {
				t.Errorf("an allowed one's: %q, %v", got, err)
			}
			if got, err := get("bob.shops.test"); err == nil {
				t.Errorf("a refused one's: %q", got)
			}
		})
	}
}
