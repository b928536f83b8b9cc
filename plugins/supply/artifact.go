package supply

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// MaxModule is the largest module, in bytes; a larger layer isn't fetched.
	MaxModule = 16 << 20
	// maxManifest is the largest manifest of an artifact, in bytes.
	maxManifest = 1 << 20
	// maxSignature is the largest signature file, in bytes.
	maxSignature = 4 << 10
)

// Media types of manifests that are understood, and that are refused by name.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// Artifact is a module from a registry.
type Artifact struct {
	Reference Reference // by digest
	Wasm      []byte
	Signature []byte // minisign's file, when the artifact has one; else nil
}

// layers are the parts of an artifact that count.
type layers struct {
	module    ocispec.Descriptor
	archived  bool // the module is plugin.wasm in a tar archive
	signature *ocispec.Descriptor
}

// readManifest finds the module and its signature in an artifact's manifest.
// CNCF: "Wasm OCI Artifact layout"; older: Solo.io's wasm-image-spec, whose
// "compat" variant is a container image with a file plugin.wasm.
func readManifest(text []byte) (layers, error) {
	var l layers
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return l, fmt.Errorf("its manifest isn't JSON: %w", err)
	}
	if m.MediaType == ocispec.MediaTypeImageIndex || m.MediaType == dockerList {
		return l, &Error{
			Text: "it is an index of several artifacts",
			Hint: "name the digest of the one that is meant",
		}
	}
	found := 0
	for _, layer := range m.Layers {
		title := layer.Annotations[ocispec.AnnotationTitle]
		switch {
		case strings.HasSuffix(title, ".minisig"):
			l.signature = &layer
		case isModule(layer.MediaType):
			l.module, l.archived = layer, false
			found++
		case isArchive(layer.MediaType) && (found == 0 || l.archived):
			l.module, l.archived = layer, true // of several layers of an image the last one counts
			found = 1
		}
	}
	switch {
	case found == 0:
		return l, fmt.Errorf("it has no layer with a WebAssembly module: %s", mediaTypes(m.Layers))
	case found > 1:
		return l, fmt.Errorf("it has %d modules, one is wanted", found)
	case l.module.Size > MaxModule:
		return l, fmt.Errorf("its module has %d bytes; at most %d are allowed", l.module.Size, MaxModule)
	case l.signature != nil && l.signature.Size > maxSignature:
		return l, fmt.Errorf("its signature has %d bytes; at most %d are allowed", l.signature.Size, maxSignature)
	}
	for _, d := range l.wanted() {
		if d.Digest.Algorithm() != digest.SHA256 || d.Digest.Validate() != nil || d.Size < 0 {
			return l, fmt.Errorf("its manifest names a layer by %q; only sha256 is taken", d.Digest)
		}
	}
	return l, nil
}

func isModule(mediaType string) bool {
	switch mediaType {
	case "application/wasm", "application/vnd.wasm.content.layer.v1+wasm", "application/vnd.module.wasm.content.layer.v1+wasm":
		return true
	}
	return false
}

func isArchive(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, dockerLayer:
		return true
	}
	return false
}

func mediaTypes(layers []ocispec.Descriptor) string {
	if len(layers) == 0 {
		return "it has no layers"
	}
	var names []string
	for _, l := range layers {
		names = append(names, l.MediaType)
	}
	return "its layers are " + strings.Join(names, ", ")
}

// wanted are the layers to fetch.
func (l layers) wanted() []ocispec.Descriptor {
	if l.signature == nil {
		return []ocispec.Descriptor{l.module}
	}
	return []ocispec.Descriptor{l.module, *l.signature}
}

// unpack returns the module that blob, the module's layer, holds.
func (l layers) unpack(blob []byte) ([]byte, error) {
	if !l.archived {
		return blob, nil
	}
	var r io.Reader = bytes.NewReader(blob)
	if bytes.HasPrefix(blob, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("unpack its layer: %w", err)
		}
		r = unzipped
	}
	// A small archive can unpack to a lot: what comes before the module counts too.
	archive := tar.NewReader(io.LimitReader(r, 2*MaxModule))
	for {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("its layer has no file plugin.wasm")
		}
		if err != nil {
			return nil, fmt.Errorf("unpack its layer: %w", err)
		}
		if path.Clean("/"+head.Name) != "/plugin.wasm" || head.Typeflag != tar.TypeReg {
			continue
		}
		if head.Size > MaxModule {
			return nil, fmt.Errorf("its plugin.wasm has %d bytes; at most %d are allowed", head.Size, MaxModule)
		}
		wasm, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("unpack its layer: %w", err)
		}
		return wasm, nil
	}
}
