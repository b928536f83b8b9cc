// Answers what each of the pure capability groups says; header x-do names it, and
// x-in is its input.
import { config, crypto, fail, json, Names, request, response, text, Verdict } from "postern";
export { postern_abi } from "postern";

let key: crypto.Key | null = null;
let regex: text.Regex | null = null;

export function postern_configure(): i32 {
  const keys = json.parse(config()).get("$.keys");
  key = crypto.loadKey(keys ? keys : "");
  regex = new text.Regex("([a-z]+)-([0-9]+)");
  return key!.ok && regex!.ok ? 0 : fail("no key or no expression");
}

function utf8(s: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(s));
}

function orNone(s: string | null): string {
  return s === null ? "none" : s;
}

function entries(map: Names): string {
  let all = map.size.toString();
  for (let i = 0; i < map.size; i++) {
    const entry = map.entry(i)!;
    all += ";" + entry[0] + "=" + entry[1];
  }
  return all;
}

function document(given: string): string {
  const d = json.parse(given);
  if (!d.ok) return "none";
  const before = d.count("$.a").toString() + orNone(d.name("$", 0)) + orNone(d.get("$.a[1].b"));
  d.setText("$.n", '"\n');
  d.delete("$.a");
  return before + d.toString();
}

function result(what: string, given: string): string {
  if (what == "hash") return text.encode(text.Coding.Hex, crypto.hash(crypto.Algorithm.SHA256, utf8(given)));
  if (what == "hmac") return text.encode(text.Coding.Hex, crypto.hmac(crypto.Algorithm.SHA256, utf8("key"), utf8(given)));
  if (what == "equal") return crypto.equal(given, "same").toString();
  if (what == "jwt") {
    const claims = key!.verifyJwt(given);
    return claims === null ? "none" : orNone(json.parse(claims).get("$.sub"));
  }
  if (what == "find") return orNone(regex!.find(given, 2));
  if (what == "match") return regex!.test(given).toString();
  if (what == "replace") return regex!.replace(given, "$2 $1");
  if (what == "encode") return text.encode(text.Coding.Base64URL, utf8(given));
  if (what == "decode") {
    const b = text.decode(text.Coding.Base64, given);
    return b === null ? "none" : String.UTF8.decodeUnsafe(b.dataStart, b.length);
  }
  if (what == "json") return document(given);
  if (what == "entries") return entries(request.query);
  return "unknown";
}

export function postern_request(): Verdict {
  const what = request.header("x-do"), given = request.header("x-in");
  return response.answer(200, "text/plain", result(what ? what : "", given ? given : ""));
}
