//go:build wasip1

// Command event is a function that answers with the event it got.
package main

import (
	"encoding/json"
	"io"
	"os"
)

func main() {
	event, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{"statusCode": 200, "body": string(event)})
	if err != nil {
		panic(err)
	}
}
