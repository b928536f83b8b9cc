// Values and counters that outlive a call and that all instances share. Times
// are in nanoseconds, 0 for as long as there is room. Grant: kv.
import * as raw from "./raw";
import { one, out, text, three, two } from "./room";

export function get(key: string): string | null {
  const n = one.put(key);
  let need = raw.kv_get(one.at, n, out.at, out.size);
  if (need > out.size) need = raw.kv_get(one.at, n, out.fit(need), need);
  return need < 0 ? null : text(need);
}

export function set(key: string, value: string, ttl: i64): i32 {
  const n = one.put(key), v = two.put(value);
  return raw.kv_set(one.at, n, two.at, v, ttl);
}

export function remove(key: string): i32 {
  const n = one.put(key);
  return raw.kv_delete(one.at, n);
}

// Adds to a counter, which begins at 0, and returns what it is then.
export function add(key: string, delta: i64, ttl: i64): i64 {
  const n = one.put(key);
  return raw.kv_add(one.at, n, delta, ttl);
}

// Sets a value if it still is old; an empty old means that there is none.
export function compareAndSet(key: string, old: string, value: string, ttl: i64): bool {
  const n = one.put(key), o = two.put(old), v = three.put(value);
  return raw.kv_cas(one.at, n, two.at, o, three.at, v, ttl) == 1;
}
