//go:build wasip1 && wasm

// The event guest of the plugin host's tests: a WASI command. It is built
// without -buildmode=c-shared.
package main

import (
	"bytes"
	"io"
	"os"
)

func main() {
	event, err := io.ReadAll(os.Stdin)
	if err != nil {
		os.Exit(9)
	}
	has := func(s string) bool { return bytes.Contains(event, []byte(`"x-do":"`+s+`"`)) }
	os.Stderr.WriteString("one line of log\n")
	switch {
	case has("exit"):
		os.Exit(4)
	case has("loop"):
		for n := 0; ; n++ {
			if n < 0 {
				return
			}
		}
	case has("flood"):
		for {
			os.Stdout.Write(make([]byte, 1<<20))
		}
	case has("garbage"):
		os.Stdout.WriteString("garbage")
	case has("silent"):
	case has("file"):
		if _, err := os.ReadFile("/etc/passwd"); err == nil {
			os.Exit(5)
		}
		if err := os.WriteFile("x", nil, 0o600); err == nil {
			os.Exit(6)
		}
		os.Stdout.WriteString(`{"body":"no files"}`)
	default:
		os.Stdout.WriteString(`{"statusCode":202,"headers":{"X-Color":"` + os.Getenv("COLOR") + `"},"body":"hello"}`)
	}
}
