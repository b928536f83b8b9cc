// Regular expressions (RE2) and encodings.
import * as raw from "./raw";
import { bytes, one, out, text, two } from "./room";

export enum Coding {
  Base64 = 1,
  Base64URL,
  Hex,
  Percent,
  Form,
}

// A compiled expression; ok is false if it isn't one. One that postern_configure
// has made lasts as long as the instance.
export class Regex {
  private number: i32;

  constructor(pattern: string) {
    const n = one.put(pattern);
    this.number = raw.text_regex(one.at, n);
  }

  get ok(): bool { return this.number > 0; }

  test(s: string): bool {
    const n = one.put(s);
    return raw.text_match(this.number, one.at, n) == 1;
  }

  // A group of the first place where it is found; 0 is all of it.
  find(s: string, group: i32): string | null {
    const n = one.put(s);
    let need = raw.text_find(this.number, one.at, n, group, out.at, out.size);
    if (need > out.size) need = raw.text_find(this.number, one.at, n, group, out.fit(need), need);
    return need < 0 ? null : text(need);
  }

  // The text with each place replaced; $1 in by is a group.
  replace(s: string, by: string): string {
    const n = one.put(s), m = two.put(by);
    let need = raw.text_replace(this.number, one.at, n, two.at, m, out.at, out.size);
    if (need > out.size) need = raw.text_replace(this.number, one.at, n, two.at, m, out.fit(need), need);
    return need < 0 ? "" : text(need);
  }
}

export function encode(coding: Coding, data: Uint8Array): string {
  let need = raw.text_encode(coding, data.dataStart, data.length, out.at, out.size);
  if (need > out.size) need = raw.text_encode(coding, data.dataStart, data.length, out.fit(need), need);
  return need < 0 ? "" : text(need);
}

// What a text stands for; null if it is malformed.
export function decode(coding: Coding, s: string): Uint8Array | null {
  const n = one.put(s);
  let need = raw.text_decode(coding, one.at, n, out.at, out.size);
  if (need > out.size) need = raw.text_decode(coding, one.at, n, out.fit(need), need);
  return need < 0 ? null : bytes(need);
}
