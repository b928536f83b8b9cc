package trial_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/postern-gateway/postern/plugins/trial"
	"github.com/postern-gateway/postern/sdk/guests"
)

// Plugins that are about names are tried with names: what they need is there, or isn't.
func TestCheckNames(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer s.Close()
	module := guests.Build(t, "testdata/wasm/zones/zones.c")
	f := func(want ...string) {
		t.Helper()
		cfg, findings := trial.File("zones", module, `config = { url = "`+s.URL+`" }`, `http = { allow = ["`+s.URL+`"], private = true, timeout = "1m" }`, "timeout=1m")
		if findings.Failed() {
			t.Fatal(findings.Text())
		}
		r, findings, err := trial.Check(t.Context(), cfg, "zones", nil, trial.Options{})
		if err != nil || findings.Failed() {
			t.Fatal(findings.Text(), err)
		}
		got := map[string]bool{}
		for _, c := range r.Results {
			got[c.Role+" "+c.Check+" "+c.Grade] = true
		}
		for _, w := range want {
			if !got[w] {
				t.Errorf("no %q among %v", w, r.Results)
			}
		}
	}
	f("dns ordinary name ok", "dns same name again ok", "dns trap ok", "certify ordinary name ok", "certify trap ok")
	status = http.StatusForbidden
	f("dns ordinary name weak", "certify trap ok")
}
