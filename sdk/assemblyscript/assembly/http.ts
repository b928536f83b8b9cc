// Requests to other servers, to those that the configuration names. Several may
// be under way at once: send them all, then read. Grant: http.
import * as raw from "./raw";
import { bytes, four, one, out, text, three, two } from "./room";

// An answer that is there or on its way. Its methods wait for what they return;
// a negative status says why there is none.
export class Answer {
  constructor(private number: i32) {}

  get status(): i32 { return this.number < 0 ? this.number : raw.http_status(this.number); }

  header(name: string): string | null {
    const n = one.put(name);
    let need = raw.http_header(this.number, one.at, n, out.at, out.size);
    if (need > out.size) need = raw.http_header(this.number, one.at, n, out.fit(need), need);
    return need < 0 ? null : text(need);
  }

  // Reads the next bytes of the content; none is the end.
  read(): Uint8Array {
    out.fit(16384);
    return bytes(max(raw.http_read(this.number, out.at, out.size), 0));
  }

  // Reads all that is left of the content.
  text(): string {
    let all = new Uint8Array(0);
    for (;;) {
      const part = this.read();
      if (part.length == 0) break;
      const longer = new Uint8Array(all.length + part.length);
      longer.set(all);
      longer.set(part, all.length);
      all = longer;
    }
    return String.UTF8.decodeUnsafe(all.dataStart, all.length);
  }
}

// Begins a request and doesn't wait. headers are lines, "Name: value\n" each;
// timeout is in nanoseconds, 0 for what the configuration says.
export function send(method: string, url: string, headers: string = "", body: string = "", timeout: i64 = 0): Answer {
  const m = one.put(method), u = two.put(url), h = three.put(headers), b = four.put(body);
  return new Answer(raw.http_send(one.at, m, two.at, u, three.at, h, four.at, b, timeout));
}
