package trial_test

import (
	"testing"

	"github.com/postern-gateway/postern/plugins/trial"
	"github.com/postern-gateway/postern/sdk/guests"
)

// Roles about content in pieces are tried like others, with content.
func TestCheckPieces(t *testing.T) {
	cfg, findings := trial.File("pieces", guests.Build(t, "examples/plugins/c/pieces.c"), "timeout=1m")
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	r, findings, err := trial.Check(t.Context(), cfg, "pieces", nil, trial.Options{})
	if err != nil || findings.Failed() {
		t.Fatal(findings.Text(), err)
	}
	tried := map[string]string{}
	for _, c := range r.Results {
		if c.Check == "trap" || c.Grade == trial.Bad || c.Grade == trial.Weak {
			tried[c.Role+" "+c.Check] = c.Grade
		}
	}
	if len(tried) != 3 || tried["request_body trap"] != trial.Good || tried["response_body trap"] != trial.Good || tried["integrate trap"] != trial.Good {
		t.Errorf("got %v: %+v", tried, r.Results)
	}
	b, findings, err := trial.Open(t.Context(), cfg, "pieces", trial.Options{})
	if err != nil || findings.Failed() {
		t.Fatal(findings.Text(), err)
	}
	defer b.Close()
	o, err := b.Run(t.Context(), &trial.Case{Role: "request_body", Request: trial.Request{Method: "POST", URL: "/", Body: "open sesame"}})
	if err != nil || o.Verdict != "refuse" || o.Reply.Status != 403 {
		t.Errorf("got %+v, %v", o, err)
	}
}
