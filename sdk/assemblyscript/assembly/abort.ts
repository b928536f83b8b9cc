// What the compiler calls for a failed assertion or an index out of range. It
// needs nothing that a module's start sets up, since that may fail too.
import { fail } from "./raw";

const room = memory.data(1024);

// Adds the beginning of a text to what is in the room, and returns its new length.
function add(length: usize, text: string): usize {
  const n = min(text.length, 150); // at most 450 bytes: two of them fit
  return length + String.UTF8.encodeUnsafe(changetype<usize>(text), n, room + length);
}

export function abort(message: string | null, file: string | null, line: u32, _column: u32): void {
  let length = add(0, message ? message : "abort");
  if (file) {
    length = add(length, " in ");
    length = add(length, file);
    length = add(length, ":");
    length = add(length, line.toString());
  }
  fail(1, room, length);
  unreachable();
}
