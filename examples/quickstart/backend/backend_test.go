package backend

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestShow(t *testing.T) {
	server := httptest.NewServer(New())
	defer server.Close()
	resp, err := http.Post(server.URL+"/a%2Fb?x=1", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got received
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.Target != "/a%2Fb?x=1" || got.Content != "hello" || got.Headers["Content-Type"][0] != "text/plain" {
		t.Errorf("got %+v", got)
	}
}

func TestEvents(t *testing.T) {
	server := httptest.NewServer(New())
	defer server.Close()
	resp, err := http.Get(server.URL + "/events?count=2")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if want := "id: 1\ndata: {\"tick\":1}\n\nid: 2\ndata: {\"tick\":2}\n\n"; err != nil || string(text) != want {
		t.Errorf("got %q, %v; want %q", text, err, want)
	}
}

func TestWebSocket(t *testing.T) {
	server := httptest.NewServer(New())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, server.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	for _, size := range []int{0, 5, 200, 70000} {
		sent := strings.Repeat("x", size)
		if err := conn.Write(ctx, websocket.MessageText, []byte(sent)); err != nil {
			t.Fatal(err)
		}
		_, got, err := conn.Read(ctx)
		if err != nil || string(got) != sent {
			t.Fatalf("got %d bytes back of %d: %v", len(got), size, err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	resp, err := http.Get(server.URL + "/ws")
	if err != nil || resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("without an upgrade: %v, %v", resp, err)
	}
}
