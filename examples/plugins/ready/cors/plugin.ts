// A filter: it answers preflights, and tells browsers which pages may read
// responses. Fetch Standard, "HTTP-CORS protocol".
//
//   config = { origins = ["https://*.example.com"], credentials = true }
import { config, fail, json, request, response, Verdict } from "postern";
export { postern_abi } from "postern";

// An allowed origin: "https://" and "example.com", or with any subdomain in between.
class Pattern {
  constructor(public prefix: string, public suffix: string, public any: bool) {}

  fits(origin: string): bool {
    if (!this.any) return origin == this.prefix;
    const rest = origin.length - this.prefix.length - this.suffix.length;
    if (rest < 1 || !origin.startsWith(this.prefix) || !origin.endsWith(this.suffix)) return false;
    // What stands for "*" is labels: no port, no path, no second "@" can hide in it.
    let last: i32 = 0x2e;
    for (let i = 0; i < rest; i++) {
      const c = origin.charCodeAt(this.prefix.length + i);
      if (!isLabel(c) && (c != 0x2e || last == 0x2e)) return false;
      last = c;
    }
    return last != 0x2e;
  }
}

const patterns: Pattern[] = [];
let anyOrigin = false;
let credentials = false;
let methods = "";
let headers = "";
let anyHeader = false;
let expose = "";
let maxAge = "";

function isLabel(c: i32): bool {
  return (c >= 0x61 && c <= 0x7a) || (c >= 0x30 && c <= 0x39) || c == 0x2d || c == 0x5f;
}

export function postern_configure(): i32 {
  const c = json.parse(config());
  credentials = c.get("$.credentials") == "true";
  const count = c.count("$.origins");
  if (count <= 0) return fail('config needs origins = ["https://www.example.com"]');
  for (let i = 0; i < count; i++) {
    const origin = c.get("$.origins[" + i.toString() + "]");
    const why = origin ? addOrigin(origin) : "is empty";
    if (why.length) return fail("origins[" + i.toString() + "] " + why);
  }
  methods = list(c, "$.methods", "GET, HEAD, POST");
  headers = list(c, "$.headers", "");
  expose = list(c, "$.expose", "");
  anyHeader = headers == "*";
  // With credentials "*" is a name like any other. Fetch Standard, 3.3.5.
  if (credentials && (methods == "*" || expose == "*")) return fail('with credentials, methods and expose can\'t be "*"');
  const age = c.get("$.max_age");
  maxAge = age ? age : "600";
  return 0;
}

// addOrigin returns what is wrong with an origin, "" for nothing.
function addOrigin(origin: string): string {
  if (origin == "*") {
    if (credentials) return 'is "*", which with credentials would give every page in the world the data of whoever looks at it: list origins';
    anyOrigin = true;
    return "";
  }
  if (origin == "null") {
    if (credentials) return 'is "null", which any page can make itself: not with credentials';
    patterns.push(new Pattern(origin, "", false));
    return "";
  }
  const wrong = "isn't as browsers write origins: https://www.example.com, https://*.example.com, http://localhost:3000";
  const slashes = origin.indexOf("://");
  if (slashes < 1) return wrong;
  let host = origin.substring(slashes + 3);
  const any = host.startsWith("*.");
  if (any) host = host.substring(1);
  for (let i = 0; i < slashes; i++) {
    const c = origin.charCodeAt(i);
    if (!isLabel(c) && c != 0x2b && c != 0x2e) return wrong;
  }
  const colon = host.lastIndexOf(":");
  for (let i = 0; i < host.length; i++) {
    const c = host.charCodeAt(i);
    if (!isLabel(c) && c != 0x2e && c != 0x3a && c != 0x5b && c != 0x5d) return wrong; // [::1] too
  }
  if (host.length < 2) return wrong;
  if (colon >= 0 && origin.endsWith(origin.startsWith("https://") ? ":443" : ":80")) return "has its scheme's own port, which browsers leave out";
  if (any) {
    if (host.indexOf(".", 1) < 0) return "has a whole top-level domain";
    patterns.push(new Pattern(origin.substring(0, slashes + 3), host, true));
  } else {
    patterns.push(new Pattern(origin, "", false));
  }
  return "";
}

function list(c: json.Document, path: string, fallback: string): string {
  const count = c.count(path);
  if (count < 0) return fallback;
  let all = "";
  for (let i = 0; i < count; i++) {
    const name = c.get(path + "[" + i.toString() + "]");
    if (name) all += (all.length ? ", " : "") + name;
  }
  return all;
}

// answerTo is what Access-Control-Allow-Origin says to an origin, "" for nothing.
function answerTo(origin: string): string {
  if (anyOrigin) return "*";
  for (let i = 0; i < patterns.length; i++) {
    if (unchecked(patterns[i]).fits(origin)) return origin;
  }
  return "";
}

// isPreflight: Fetch Standard, 3.3.2, "CORS-preflight request".
function isPreflight(): bool {
  return request.method == "OPTIONS" && request.headers.has("access-control-request-method") && request.headers.has("origin");
}

export function postern_request(): Verdict {
  if (!isPreflight()) return Verdict.Continue;
  const origin = request.header("origin");
  if (!origin || !answerTo(origin)) return response.answer(403, "text/plain", "this origin isn't allowed\n");
  const h = response.headers;
  let code = response.setStatus(204);
  if (methods.length) code |= h.set("access-control-allow-methods", methods);
  if (anyHeader) {
    // The names themselves and not "*", which Authorization isn't part of.
    const asked = request.header("access-control-request-headers");
    if (asked && areNames(asked)) code |= h.set("access-control-allow-headers", asked);
  } else if (headers.length) {
    code |= h.set("access-control-allow-headers", headers);
  }
  code |= h.set("access-control-max-age", maxAge);
  if (code) return fail("the answer wasn't taken") as Verdict;
  return Verdict.Answer;
}

// areNames checks a list of header names before it is sent back.
function areNames(text: string): bool {
  if (text.length > 2048) return false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x20 || (!isLabel(c | 0x20) && c != 0x2c && c != 0x20 && c != 0x2e)) return false;
  }
  return true;
}

export function postern_response(): Verdict {
  const h = response.headers;
  // The backend doesn't decide about this, or there would be two answers.
  h.delete("access-control-allow-origin");
  h.delete("access-control-allow-credentials");
  h.delete("access-control-expose-headers");
  const preflight = isPreflight();
  if (preflight) vary("Access-Control-Request-Method, Access-Control-Request-Headers");
  // Also where there is no Origin, for a cache that keeps the response for those with one.
  if (!anyOrigin) vary("Origin");
  const origin = request.header("origin");
  if (!origin) return Verdict.Continue;
  const answer = answerTo(origin);
  if (!answer) return Verdict.Continue;
  let code = h.set("access-control-allow-origin", answer);
  if (credentials) code |= h.set("access-control-allow-credentials", "true");
  if (expose.length && !preflight) code |= h.set("access-control-expose-headers", expose);
  return code ? (fail("a header wasn't taken") as Verdict) : Verdict.Continue;
}

// vary adds names to Vary unless they are there.
function vary(names: string): void {
  const h = response.headers;
  const has = h.get("vary");
  if (has) {
    if (has.trim() == "*" || (", " + has.toLowerCase() + ",").includes(", " + names.toLowerCase() + ",")) return;
  }
  h.add("vary", names);
}
