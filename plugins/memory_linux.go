package plugins

import (
	"io/fs"
	"syscall"
	"time"
)

// lastUse is when a file was last read or written.
func lastUse(st fs.FileInfo) time.Time {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		if read := time.Unix(sys.Atim.Unix()); read.After(st.ModTime()) {
			return read
		}
	}
	return st.ModTime()
}

// reserve returns n bytes of address space that can't be touched yet.
func reserve(n uint64) ([]byte, bool) {
	if n == 0 || n > 1<<32 {
		return nil, false
	}
	region, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	return region, err == nil
}

// commit makes part, which begins and ends at a page, readable and writable.
func commit(part []byte) bool {
	return syscall.Mprotect(part, syscall.PROT_READ|syscall.PROT_WRITE) == nil
}

// zero makes part, which begins and ends at a page, zeros that take no memory
// until they are written to.
func zero(part []byte) bool {
	return syscall.Madvise(part, syscall.MADV_DONTNEED) == nil
}

func unreserve(region []byte) {
	_ = syscall.Munmap(region) // fails only for a range that isn't ours
}
