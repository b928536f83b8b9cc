//go:build !linux

package plugins

import (
	"io/fs"
	"time"
)

func lastUse(st fs.FileInfo) time.Time { return st.ModTime() }

func reserve(uint64) ([]byte, bool) { return nil, false }

func commit([]byte) bool { return false }

func zero([]byte) bool { return false }

func unreserve([]byte) {}
