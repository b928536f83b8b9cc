package main

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

const (
	// garbage is how much garbage, in per cent of what is in use, may gather
	// before it is collected, unless GOGC says otherwise. The gateway keeps little
	// in use, so twice as much of it is little, too.
	garbage = 200

	// share of the cgroup's memory that is the limit of Go's heap, unless
	// GOMEMLIMIT says otherwise. Outside of that heap are the plugins' memories,
	// which the kernel maps, and what the kernel holds for sockets.
	share = 0.8
)

// setMemory sets what the garbage collector aims at, where the environment
// doesn't.
func setMemory(logger *zap.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	source := "GOMEMLIMIT"
	if os.Getenv("GOMEMLIMIT") == "" {
		source = "cgroup"
		if limit := groupMemory(); limit > 0 {
			debug.SetMemoryLimit(int64(share * float64(limit)))
		}
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		logger.Info("memory limit", zap.Int64("bytes", limit), zap.String("from", source))
	}
}

// groupMemory returns how many bytes the process's cgroup may use, 0 when there
// is no limit.
func groupMemory() uint64 {
	limit := cgroupLimit("/proc/self/cgroup", "/sys/fs/cgroup")
	if limit == math.MaxInt64 {
		return 0
	}
	return uint64(limit)
}

// cgroupLimit returns how many bytes the process's cgroup may use: the smallest
// limit of it and of those above it, math.MaxInt64 for none. membership is the
// file that names the process's groups, root where groups are mounted.
// cgroups(7): version 2 has one hierarchy, version 1 one for each controller.
func cgroupLimit(membership, root string) int64 {
	f, err := os.Open(membership)
	if err != nil {
		return math.MaxInt64
	}
	defer f.Close()
	limit := int64(math.MaxInt64)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		dir, names := root, []string{"memory.max", "memory.high"}
		switch parts[1] {
		case "":
		case "memory":
			dir, names = filepath.Join(root, "memory"), []string{"memory.limit_in_bytes"}
		default:
			continue
		}
		for group := filepath.Clean("/" + parts[2]); ; group = filepath.Dir(group) {
			for _, name := range names {
				limit = min(limit, readLimit(filepath.Join(dir, group, name)))
			}
			if group == "/" {
				break
			}
		}
	}
	return limit
}

// readLimit returns the number in a cgroup's file, math.MaxInt64 for "max", for
// what version 1 means by no limit, and when there is no such file.
func readLimit(name string) int64 {
	text, err := os.ReadFile(name)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 || n > 1<<60 {
		return math.MaxInt64
	}
	return n
}
