// JSON, parsed by the gateway. A path is $, .name, ['name'] and [index].
import * as raw from "./raw";
import { Body } from "./index";
import { one, out, text, two } from "./room";

export enum Kind {
  None = -1,
  Null = 1,
  Boolean,
  Number,
  String,
  Array,
  Object,
}

// A parsed document, valid until the call ends. ok is false when it isn't JSON.
export class Document {
  constructor(private number: i32) {}

  get ok(): bool { return this.number > 0; }

  kind(path: string): Kind {
    const n = one.put(path);
    return raw.json_kind(this.number, one.at, n) as Kind;
  }

  // How many elements or members stand at a path.
  count(path: string): i32 {
    const n = one.put(path);
    return raw.json_count(this.number, one.at, n);
  }

  // A string's text, anything else as JSON; null if nothing is there.
  get(path: string): string | null {
    const n = one.put(path);
    let need = raw.json_get(this.number, one.at, n, out.at, out.size);
    if (need > out.size) need = raw.json_get(this.number, one.at, n, out.fit(need), need);
    return need < 0 ? null : text(need);
  }

  // The name of an object's member.
  name(path: string, index: i32): string | null {
    const n = one.put(path);
    let need = raw.json_name(this.number, one.at, n, index, out.at, out.size);
    if (need > out.size) need = raw.json_name(this.number, one.at, n, index, out.fit(need), need);
    return need < 0 ? null : text(need);
  }

  // Puts a value, as JSON, at a path.
  set(path: string, json: string): i32 {
    const n = one.put(path), v = two.put(json);
    return raw.json_set(this.number, one.at, n, two.at, v);
  }

  setText(path: string, text: string): i32 {
    return this.set(path, quote(text));
  }

  delete(path: string): i32 {
    const n = one.put(path);
    return raw.json_delete(this.number, one.at, n);
  }

  toString(): string {
    let need = raw.json_write(this.number, out.at, out.size);
    if (need > out.size) need = raw.json_write(this.number, out.fit(need), need);
    return need < 0 ? "" : text(need);
  }

  // Makes the document the new content of a body.
  writeTo(body: Body): i32 {
    return raw.json_write_body(this.number, body.number);
  }
}

export function parse(json: string): Document {
  const n = one.put(json);
  return new Document(raw.json_parse(one.at, n));
}

// Parses content, which doesn't come into the guest.
export function open(body: Body): Document {
  return new Document(raw.json_open(body.number));
}

// Parses AWS's proxy event.
export function event(): Document {
  return new Document(raw.json_open(raw.DOCUMENT_EVENT));
}

// A text as JSON, with its quotes.
export function quote(text: string): string {
  let quoted = '"', done = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
    quoted += text.substring(done, i) + "\\u00" + (c >> 4).toString() + (c & 15).toString(16);
    done = i + 1;
  }
  return quoted + text.substring(done) + '"';
}
