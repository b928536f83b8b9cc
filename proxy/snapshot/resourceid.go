package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// The lengths of resource ids. AWS: examples of "GetResources".
const (
	rootIDLength     = 10
	resourceIDLength = 6
)

// resourceIDs gives each resource path of an API an id of lower-case letters
// and digits: the same at every load, whatever other resources there are (but
// for the rare two that would get the same one), and different in each API.
func resourceIDs(api string, paths []string) map[string]string {
	ids := make(map[string]string, len(paths))
	taken := make(map[string]bool, len(paths))
	for _, path := range slices.Sorted(slices.Values(paths)) {
		if ids[path] != "" {
			continue
		}
		id := resourceID(api, path, 0)
		for try := uint64(1); taken[id]; try++ {
			id = resourceID(api, path, try)
		}
		ids[path], taken[id] = id, true
	}
	return ids
}

func resourceID(api, path string, try uint64) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	text := binary.BigEndian.AppendUint64(nil, uint64(len(api)))
	text = append(append(text, api...), path...)
	text = binary.BigEndian.AppendUint64(text, try)
	sum := sha256.Sum256(text)
	number := binary.BigEndian.Uint64(sum[:])
	length := resourceIDLength
	if path == "/" {
		length = rootIDLength
	}
	id := make([]byte, length)
	for i := range id {
		id[i] = digits[number%uint64(len(digits))]
		number /= uint64(len(digits))
	}
	return string(id)
}
