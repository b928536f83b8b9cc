package mapping

import (
	"errors"
	"testing"

	"github.com/postern-gateway/postern/proxy"
)

// The recorded table, cell by cell: content, handling, what comes of it.
func TestConversion(t *testing.T) {
	const bytes, text, encoded = "\x89PNG", "text", "iVBORw=="
	request := func(h Handling, binary bool, content, want string) {
		t.Helper()
		got, err := h.Request(binary).Apply([]byte(content))
		if err != nil || string(got) != want {
			t.Errorf("request, handling %d, binary %v: got %q, %v", h, binary, got, err)
		}
	}
	request(AsIs, false, text, text)
	request(ToText, false, text, text)
	request(ToBinary, false, encoded, bytes)
	request(AsIs, true, bytes, bytes)
	request(ToBinary, true, bytes, bytes)
	request(ToText, true, bytes, encoded)

	response := func(h Handling, binary, accepted bool, content, want string) {
		t.Helper()
		got, err := h.Response(binary, accepted).Apply([]byte(content))
		if err != nil || string(got) != want {
			t.Errorf("response, handling %d, binary %v, accepted %v: got %q, %v", h, binary, accepted, got, err)
		}
	}
	response(AsIs, false, false, text, text)
	response(ToBinary, false, false, encoded, bytes)
	response(ToText, false, false, text, text)
	response(AsIs, false, true, encoded, bytes)
	response(ToBinary, false, true, encoded, bytes)
	response(ToText, false, true, text, text)
	response(AsIs, true, false, bytes, encoded)
	response(ToBinary, true, false, bytes, bytes)
	response(ToText, true, false, bytes, encoded)
	response(AsIs, true, true, bytes, bytes)
	response(ToBinary, true, true, bytes, bytes)
	response(ToText, true, true, bytes, encoded)

	for _, good := range []string{"iVBORw==", " iVBORw==\n", `"iVBORw=="`, "iVBO\r\nRw=="} {
		if got, err := Decode.Apply([]byte(good)); err != nil || string(got) != bytes {
			t.Errorf("%q: got %q, %v", good, got, err)
		}
	}
	if _, err := Decode.Apply([]byte("no base64!")); !errors.Is(err, proxy.Fault{Kind: proxy.APIConfigurationError}) {
		t.Errorf("bad base64: %v", err)
	}
}
