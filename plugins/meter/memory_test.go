package meter

import (
	"bytes"
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
)

func TestOwnMemory(t *testing.T) {
	f := func(name string, in, want []byte) {
		t.Helper()
		if got := OwnMemory(in); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", name, got, want)
		}
	}
	own := func(name string, in []byte) { t.Helper(); f(name, in, in) }
	types := section(sectionType, 1, typeFunction, 0, 0)
	custom := section(sectionCustom, 2, 'h', 'i', 7)
	functionImport := []byte{3, 'e', 'n', 'v', 1, 'f', kindFunction, 0}
	memoryImport := func(limits ...byte) []byte {
		return append([]byte{3, 'e', 'n', 'v', 6, 'm', 'e', 'm', 'o', 'r', 'y', kindMemory}, limits...)
	}
	imports := func(n byte, all ...[]byte) []byte {
		return section(sectionImport, append([]byte{n}, bytes.Join(all, nil)...)...)
	}
	exports := section(sectionExport, 1, 1, 'm', kindMemory, 0)
	f("between others", assemble(custom, types, imports(3, functionImport, memoryImport(0, 2), functionImport), custom, exports),
		assemble(custom, types, imports(2, functionImport, functionImport), custom, section(sectionMemory, 1, 0, 2), exports))
	f("alone, bounded", assemble(imports(1, memoryImport(1, 2, 9)), exports), assemble(imports(0), section(sectionMemory, 1, 1, 2, 9), exports))
	own("none", assemble(types, imports(1, functionImport), exports))
	own("another name", assemble(imports(1, []byte{3, 'e', 'n', 'v', 1, 'm', kindMemory, 0, 2}), exports))
	own("shared", assemble(imports(1, memoryImport(3, 1, 2)), exports))
	own("two", assemble(imports(1, memoryImport(0, 1)), section(sectionMemory, 1, 0, 1), exports))
	own("nothing behind it", assemble(imports(1, memoryImport(0, 1))))
	whole := assemble(types, imports(2, functionImport, memoryImport(0, 2)), exports)
	for n := range whole {
		OwnMemory(whole[:n]) // cut off anywhere, it may not fail
	}
	r := wazero.NewRuntime(context.Background())
	defer r.Close(context.Background())
	if m, err := r.CompileModule(context.Background(), OwnMemory(whole)); err != nil || len(m.ImportedMemories()) != 0 || len(m.ExportedMemories()) != 1 {
		t.Errorf("what comes out isn't a valid module with a memory of its own: %v", err)
	}
}

// Whatever the bytes are, it ends, adds no more than a section's head, and leaves
// nothing for a second time.
func FuzzOwnMemory(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x02\x0f\x01\x03env\x06memory\x02\x00\x02\x07\x05\x01\x01m\x02\x00"))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out := OwnMemory(wasm)
		if len(out) > len(wasm)+16 {
			t.Fatalf("%d bytes became %d", len(wasm), len(out))
		}
		if again := OwnMemory(out); !bytes.Equal(again, out) {
			t.Fatalf("%x became %x", out, again)
		}
	})
}
