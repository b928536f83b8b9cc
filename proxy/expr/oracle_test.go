package expr_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/postern-gateway/postern/proxy/expr"
)

// oracleFile holds what Jayway JsonPath answers. It isn't part of the project.
const oracleFile = "../../../shared/oracles/jsonpath/cases.json"

// TestJaywayAgrees runs paths whose results Jayway's own library recorded.
func TestJaywayAgrees(t *testing.T) {
	text, err := os.ReadFile(oracleFile)
	if err != nil {
		t.Skipf("needs Jayway's recorded answers: %v", err)
	}
	var all struct {
		Documents map[string]json.RawMessage
		Cases     []struct {
			Path   string
			Doc    string
			Result struct {
				Value    json.RawMessage
				Definite bool
				Error    string
			}
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Cases) < 300 {
		t.Fatalf("only %d cases", len(all.Cases))
	}
	for _, c := range all.Cases {
		want := c.Result.Error
		if want == "" {
			want = compact(t, c.Result.Value)
		}
		got, definite := answer(t, c.Path, all.Documents[c.Doc])
		if want == "JsonPathException" {
			want = "PathNotFoundException" // nothing to count with
		}
		if got != want {
			t.Errorf("%s in %s: got %s, want %s", c.Path, c.Doc, got, want)
		}
		if c.Result.Error == "" && definite != c.Result.Definite {
			t.Errorf("%s: definite is %v", c.Path, definite)
		}
	}
}

func compact(t *testing.T, text []byte) string {
	v, err := expr.ParseJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.JSON(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func answer(t *testing.T, path string, document []byte) (string, bool) {
	p, err := expr.Parse(path)
	if err != nil {
		var wrong *expr.PathError
		if !errors.As(err, &wrong) || wrong.Offset > len(path) {
			t.Errorf("%s: error %v", path, err)
		}
		return "InvalidPathException", false
	}
	root, err := expr.ParseJSON(document)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Eval(root)
	if errors.Is(err, expr.ErrMissing) {
		return "PathNotFoundException", false
	}
	if errors.Is(err, expr.ErrUnfitting) {
		return "InvalidPathException", false
	}
	if err != nil {
		return err.Error(), false
	}
	s, err := v.JSON(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return s, p.Definite()
}
