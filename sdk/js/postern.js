// The module "postern" that handlers import. It turns the host's functions into
// objects that know no more than what they are asked for.
const host = globalThis.$host;

// What goes to the gateway's log.
const levels = { debug: 0, info: 1, warn: 2, error: 3 };
export function log(level, text) {
  host.log(levels[level] ?? 1, String(text));
}
const words = (values) => values.map((v) => (typeof v === "string" ? v : v instanceof Error ? String(v.stack ?? v) : JSON.stringify(v) ?? String(v))).join(" ");
globalThis.console = {
  debug: (...values) => log("debug", words(values)),
  log: (...values) => log("info", words(values)),
  info: (...values) => log("info", words(values)),
  warn: (...values) => log("warn", words(values)),
  error: (...values) => log("error", words(values)),
};

// What the plugin is built with is the same in every instance, its seed too.
Math.random = () => {
  const b = random(7);
  return (((b[0] & 31) * 2 ** 48) + b[1] * 2 ** 40 + b[2] * 2 ** 32 + b[3] * 2 ** 24 + b[4] * 2 ** 16 + b[5] * 256 + b[6]) / 2 ** 53;
};

export const allow = 1, deny = 2, unauthenticated = 3;
export const proceed = 1, answer = 2;
export const valid = 1, invalidBody = 2, invalidParameters = 3;

// HostError is a host function's refusal. Its code is a word.
const codes = { "-1": "not found", "-2": "denied", "-3": "wrong role", "-4": "bad argument", "-5": "limit", "-6": "unavailable", "-7": "deadline" };
export class HostError extends Error {
  constructor(what, number) {
    super(`${what}: ${codes[number] ?? number}`);
    this.code = codes[number] ?? String(number);
  }
}

// need is a result that has to be there; found may be missing.
function need(what, result) {
  if (typeof result === "number" && result < 0) throw new HostError(what, result);
  return result;
}
function found(what, result) {
  return result === -1 ? undefined : need(what, result);
}

class Names {
  constructor(number) { this.number = number; }
  get(name) { return found(name, host.map_get(this.number, name)); }
  has(name) { return host.map_get(this.number, name) !== -1; }
  get size() { return need("size", host.map_count(this.number)); }
  set(name, value) { need(name, host.map_set(this.number, name, String(value))); return this; }
  add(name, value) { need(name, host.map_add(this.number, name, String(value))); return this; }
  delete(name) { return need(name, host.map_del(this.number, name)) > 0; }
  *[Symbol.iterator]() {
    for (let i = 0; ; i++) {
      const entry = host.map_entry(this.number, i);
      if (typeof entry === "number") return;
      yield entry;
    }
  }
}

class Body {
  constructor(number) { this.number = number; }
  get length() { return need("body", host.body_len(this.number)); }
  read(size = 65536) { return need("body", host.body_read(this.number, size)); }
  bytes() { return need("body", host.body_read(this.number, this.length)); }
  text() { return need("body", host.body_read(this.number, this.length, true)); }
  json() { return JSON.parse(this.text()); }
  write(content) { need("body", host.body_write(this.number, content)); return this; }
  set(content) { need("body", host.body_reset(this.number)); return this.write(content); }
}

const bodies = [, new Body(1), new Body(2), new Body(3)];
const field = (number) => found("field", host.field_get(number)) ?? "";
const setField = (number, value) => need("field", host.field_set(number, String(value)));

export const request = {
  get method() { return field(1); },
  get path() { return field(2); },
  get fullPath() { return field(3); },
  get rawQuery() { return field(4); },
  set rawQuery(value) { setField(4, value); },
  get routeKey() { return field(5); },
  get resource() { return field(6); },
  get stage() { return field(7); },
  get apiId() { return field(8); },
  get id() { return field(9); },
  get sourceIp() { return field(10); },
  get protocol() { return field(11); },
  get host() { return field(12); },
  get scheme() { return field(13); },
  get principal() { return field(14); },
  set principal(id) { need("principal", host.principal_set(String(id))); },
  get domainName() { return field(17); },
  get methodArn() { return field(18); },
  set message(text) { setField(20, text); },
  header(name) { return found(name, host.map_get(1, name)); },
  headers: new Names(1),
  query: new Names(2),
  pathParams: new Names(3),
  stageVariables: new Names(4),
  context: new Names(5),
  setContext(name, value) { need(name, host.context_set(name, String(value))); },
  bag: new Names(7),
  get body() { return bodies[1]; },
  get event() { return JSON.parse(need("event", host.event_read())); },
};

// A TXT record that is to be put into a DNS zone, or removed: action is "present" or
// "cleanup". Names have no dot at their end; ttl is in seconds.
export const record = {
  get action() { return field(26); },
  get zone() { return field(27); },
  get name() { return field(28); },
  get value() { return field(29); },
  get ttl() { return Number(field(30)); },
};

export const response = {
  get status() { return Number(field(19)); },
  set status(value) { setField(19, value); },
  get fault() { return field(21); },
  get backendStatus() { return field(25); },
  headers: new Names(6),
  backendHeaders: new Names(9),
  get body() { return bodies[2]; },
  reply(status, type, content) {
    setField(19, status);
    this.headers.set("content-type", type);
    bodies[2].set(content);
  },
  answer(status, type, content) {
    this.reply(status, type, content);
    return answer;
  },
};

export const backend = {
  get method() { return field(22); },
  set method(value) { setField(22, value); },
  get target() { return field(23); },
  set target(value) { setField(23, value); },
  get host() { return field(24); },
  set host(value) { setField(24, value); },
  headers: new Names(8),
  get body() { return bodies[3]; },
};

// random returns bytes of the system's random numbers, at most 64 KiB.
export function random(size) { return need("random", host.random(size)); }

// deadlineLeft is how many milliseconds the call has left.
export function deadlineLeft() { return host.deadline_left() / 1e6; }

const nanoseconds = (milliseconds) => Math.round((milliseconds ?? 0) * 1e6);

export const http = {
  // send begins a request and returns its answer, whose methods wait.
  send(url, { method = "GET", headers = {}, body = "", timeout } = {}) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`).join("");
    const number = need(url, host.http_send(method, url, lines, body, nanoseconds(timeout)));
    return {
      get status() { return need(url, host.http_status(number)); },
      header: (name) => found(name, host.http_header(number, name)),
      read: (size = 65536) => need(url, host.http_read(number, size)),
      bytes() {
        const parts = [];
        for (let part; (part = this.read()).length; ) parts.push(part);
        const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
        parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
        return all;
      },
      text() { return host.utf8(this.bytes()); },
      json() { return JSON.parse(this.text()); },
    };
  },
};

export const kv = {
  get: (key) => found(key, host.kv_get(key)),
  bytes: (key) => found(key, host.kv_get(key, true)),
  set(key, value, ttl) { need(key, host.kv_set(key, value, nanoseconds(ttl))); },
  delete(key) { need(key, host.kv_delete(key)); },
  add: (key, delta, ttl) => need(key, host.kv_add(key, delta, nanoseconds(ttl))),
  compareAndSet: (key, old, value, ttl) => need(key, host.kv_cas(key, old, value, nanoseconds(ttl))) === 1,
};

const algorithms = { md5: 1, sha1: 2, sha256: 3, sha384: 4, sha512: 5 };
const signatures = { RS256: 1, RS384: 2, RS512: 3, PS256: 4, PS384: 5, PS512: 6, ES256: 7, ES384: 8, ES512: 9, EdDSA: 10 };

export const crypto = {
  hash: (algorithm, content) => need(algorithm, host.crypto_hash(algorithms[algorithm] ?? 0, content, true)),
  hmac: (algorithm, key, content) => need(algorithm, host.crypto_hmac(algorithms[algorithm] ?? 0, key, content, true)),
  equal: (one, other) => host.crypto_equal(one, other) === 1,
  // loadKey takes a JWK, a JWK set, or PEM; what configure loads lasts.
  loadKey(text) {
    const number = need("key", host.crypto_key_load(text));
    return {
      verify: (signature, content, mark) => need(signature, host.crypto_verify(number, signatures[signature] ?? 0, content, mark)) === 1,
      // verifyJwt returns a good token's claims, else undefined.
      verifyJwt(token) {
        const claims = host.crypto_jwt_verify(number, token);
        return claims === -2 ? undefined : JSON.parse(need("token", claims));
      },
    };
  },
};

const metricKinds = { counter: 1, gauge: 2, histogram: 3 };

export const metric = {
  define(kind, name) {
    const number = need(name, host.metric_define(metricKinds[kind] ?? 0, name));
    return {
      add(delta) { need(name, host.metric_add(number, delta)); },
      set(value) { need(name, host.metric_set(number, value)); },
      observe(value) { need(name, host.metric_observe(number, value)); },
    };
  },
};

const codings = { base64: 1, base64url: 2, hex: 3, percent: 4, form: 5 };

export const text = {
  encode: (coding, content) => need(coding, host.text_encode(codings[coding] ?? 0, content)),
  decode: (coding, content) => need(coding, host.text_decode(codings[coding] ?? 0, content)),
  bytes: (coding, content) => need(coding, host.text_decode(codings[coding] ?? 0, content, true)),
};

const then = (value, f) => (typeof value?.then === "function" ? value.then(f) : f(value));

// start makes the functions that the gateway calls out of a handler's exports.
export function start(handler) {
  const bits = { authorize: 1, integrate: 2, request: 4, response: 8, mapRequest: 16, mapResponse: 32, validate: 64, dns: 128, certify: 256 };
  let roles = 0;
  for (const [name, bit] of Object.entries(bits)) if (typeof handler[name] === "function") roles |= bit;
  if (typeof handler.handle === "function") roles |= bits.integrate;
  if (roles === 0) throw new Error(`the handler exports none of ${Object.keys(bits).join(", ")}, handle`);
  const done = () => 0;
  globalThis.$roles = {
    roles: () => roles,
    configure: () => handler.configure ? then(handler.configure(JSON.parse(need("config", host.config_read()))), done) : 0,
    authorize: () => handler.authorize(request),
    integrate() {
      if (handler.integrate) return then(handler.integrate(request, response), done);
      return then(handler.handle(request.event), (a) => need("answer", host.result_write(JSON.stringify(a))));
    },
    request: () => handler.request(request, response),
    response: () => then(handler.response(request, response), () => proceed),
    map_request: () => then(handler.mapRequest(request, backend), done),
    map_response: () => then(handler.mapResponse(request, response), done),
    validate: () => handler.validate(request),
    dns: () => then(handler.dns(record), done),
    certify: () => handler.certify(request),
  };
  delete globalThis.$host;
}
