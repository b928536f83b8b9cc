// Memory that lies still while the host reads or fills it. There are few pieces
// of it, they grow as needed, and the garbage collector doesn't know them.

export class Room {
  at: usize = 0;
  size: i32 = 0;

  // fit makes sure that there are n bytes, whose content it doesn't keep.
  fit(n: i32): usize {
    if (n > this.size) {
      if (this.at) heap.free(this.at);
      this.size = max(n, 256);
      this.at = heap.alloc(this.size);
    }
    return this.at;
  }

  // put writes s as UTF-8 and returns its length.
  put(s: string): i32 {
    const most = s.length * 3;
    return String.UTF8.encodeUnsafe(changetype<usize>(s), s.length, this.fit(most)) as i32;
  }
}

export const one = new Room();
export const two = new Room();
export const three = new Room();
export const four = new Room();

// What a function fills.
export const out = new Room();
export const out2 = new Room();
out.fit(1024);
out2.fit(1024);

export function text(n: i32): string {
  return String.UTF8.decodeUnsafe(out.at, n);
}

export function bytes(n: i32): Uint8Array {
  const b = new Uint8Array(n);
  memory.copy(b.dataStart, out.at, n);
  return b;
}
