package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/postern-gateway/postern/proxy/config"
)

// The addresses that the log names are those at which APIs of each type answer.
func TestAnnouncedURLs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "postern.toml")
	if err := os.WriteFile(file, []byte(`
listen.public.address = ":8080"
api.pets = { type = "rest", stage.prod = {}, route."GET /" = { integration.type = "mock", response.default.status = 200 } }
api.web = { type = "http", stage."$default" = {}, stage.next = {}, route."$default" = { integration = { type = "http_proxy", url = "http://127.0.0.1:1" } } }
api.chat = { type = "websocket", stage.prod = {}, route."$default" = { integration = { type = "http_proxy", url = "http://127.0.0.1:1" } } }
domain."pets.example".map."/v1" = "pets:prod"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, findings := config.Load(file)
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	got := urls(cfg, cfg.Listen["public"], &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080})
	want := []string{
		"ws://chat.localhost:8080/prod", "http://pets.localhost:8080/prod/", "http://web.localhost:8080/", "http://web.localhost:8080/next/",
		"http://pets.example:8080/v1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
