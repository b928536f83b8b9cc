package supply

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"aead.dev/minisign"
)

// CheckKey reports what is wrong with text as a minisign public key: its line
// of base64, with or without the comment above it.
func CheckKey(text string) error {
	_, err := parseKey(text)
	return err
}

func parseKey(text string) (minisign.PublicKey, error) {
	var key minisign.PublicKey
	if err := key.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
		return key, &Error{
			Text: "not a minisign public key: " + strings.TrimPrefix(err.Error(), "minisign: "),
			Hint: `it is the second line of minisign.pub, which begins with "RW"`,
		}
	}
	return key, nil
}

// Verify checks that signature, the content of a minisign file, is one of wasm
// by the owner of key. name is the plugin's module, for the error, which is an
// *Error.
func Verify(key, name string, wasm, signature []byte) error {
	public, err := parseKey(key)
	if err != nil {
		return err
	}
	var read minisign.Signature
	if err := read.UnmarshalText(bytes.TrimSpace(signature)); err != nil {
		return &Error{Text: "the signature of " + name + " isn't one of minisign: " + strings.TrimPrefix(err.Error(), "minisign: ")}
	}
	if read.KeyID != public.ID() {
		return &Error{Text: fmt.Sprintf("%s is signed with the key %X, but public_key is %X", name, read.KeyID, public.ID())}
	}
	if !minisign.Verify(public, wasm, signature) {
		return &Error{
			Text: name + " isn't what was signed",
			Hint: "the module or its signature was changed: don't use it; after a new build, sign it anew: minisign -Sm " + name,
		}
	}
	return nil
}

// ReadSignature reads the signature in file.
func ReadSignature(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(f, maxSignature+1)); err != nil {
		return nil, err
	}
	if b.Len() > maxSignature {
		return nil, fmt.Errorf("%s has more than %d bytes; that is no signature", file, maxSignature)
	}
	return b.Bytes(), nil
}
