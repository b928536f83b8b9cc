//go:build !race

package responsecache

const raced = false
