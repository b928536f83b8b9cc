package supply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
)

// blobs keeps content by its digest in a folder. What is damaged counts as not
// there. Several processes may use one folder. Without a folder it keeps nothing.
type blobs struct{ dir string }

func (b blobs) file(d digest.Digest) string {
	return filepath.Join(b.dir, "sha256", d.Encoded())
}

// read returns the content with digest d, or nil.
func (b blobs) read(d digest.Digest) []byte {
	if b.dir == "" || d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return nil
	}
	content, err := os.ReadFile(b.file(d))
	if err != nil || digest.FromBytes(content) != d {
		return nil
	}
	return content
}

// write keeps content, whose digest is d.
func (b blobs) write(d digest.Digest, content []byte) error {
	if b.dir == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(b.file(d)), 0o700); err != nil {
		return fmt.Errorf("keep a module: %w", err)
	}
	if err := replace(b.file(d), content, 0o600); err != nil {
		return fmt.Errorf("keep a module: %w", err)
	}
	return nil
}

// prune removes what isn't among used, and returns how much that was.
func (b blobs) prune(used map[digest.Digest]bool) (files int, bytes int64, err error) {
	entries, err := os.ReadDir(filepath.Join(b.dir, "sha256"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	for _, e := range entries {
		name := e.Name()
		if used[digest.NewDigestFromEncoded(digest.SHA256, name)] || strings.Contains(name, ".") { // another process writes it
			continue
		}
		if st, serr := e.Info(); serr == nil {
			bytes += st.Size()
		}
		if rerr := os.Remove(filepath.Join(b.dir, "sha256", name)); rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		files++
	}
	return files, bytes, err
}
