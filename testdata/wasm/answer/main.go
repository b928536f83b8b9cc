//go:build wasip1

// Command answer is a function that answers with the content of the request, as
// it stands: what would be a wrong answer is sent as one.
package main

import (
	"encoding/json"
	"os"
)

func main() {
	var event struct {
		Body string `json:"body"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		panic(err)
	}
	if event.Body == "trap" {
		panic("as told")
	}
	for event.Body == "loop" {
	}
	if _, err := os.Stdout.WriteString(event.Body); err != nil {
		panic(err)
	}
}
