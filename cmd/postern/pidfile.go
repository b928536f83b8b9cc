package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// writePID puts the number of this process into a file, in one step: who reads
// it finds this number or the one before.
func writePID(file string) error {
	aside := fmt.Sprintf("%s.%d", file, os.Getpid())
	err := os.WriteFile(aside, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
	if err == nil {
		err = os.Rename(aside, file)
	}
	if err != nil {
		_ = os.Remove(aside) // the error is told
		return fmt.Errorf("PID file: %w", err)
	}
	return nil
}

// removePID removes the file if it still names this process.
func removePID(file string) {
	text, err := os.ReadFile(file)
	if err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(os.Getpid()) {
		_ = os.Remove(file) // a stale number is what every PID file risks
	}
}
