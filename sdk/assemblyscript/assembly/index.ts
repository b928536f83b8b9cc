// The guest's side of postern's plugins. A plugin exports its roles, and the
// version of the ABI from here:
//
//   import { request, Verdict } from "postern";
//   export { postern_abi } from "postern";
//
//   export function postern_request(): Verdict {
//     request.headers.set("x-trace", request.id);
//     return Verdict.Continue;
//   }
//
// The roles are postern_authorize, postern_integrate, postern_request,
// postern_response, postern_map_request, postern_map_response, postern_validate,
// and postern_configure, which runs first. What changes something returns 0, or
// one of the negative numbers of raw.ts.

import * as crypto from "./crypto";
import * as http from "./http";
import * as json from "./json";
import * as kv from "./kv";
import * as metric from "./metric";
import * as raw from "./raw";
import * as text from "./text";
import { one, out, out2, text as outText, three, two } from "./room";

export { abort } from "./abort";
export { crypto, http, json, kv, metric, raw, text };

export enum Decision {
  Allow = 1,
  Deny = 2,
  Unauthenticated = 3,
}

export enum Verdict {
  Continue = 1,
  Answer = 2,
}

export enum Judgement {
  Valid = 1,
  InvalidBody = 2,
  InvalidParameters = 3,
}

export enum Level {
  Debug,
  Info,
  Warn,
  Error,
}

export function postern_abi(): i32 {
  return raw.VERSION;
}

// Names and values: headers, parameters, variables.
export class Names {
  constructor(private number: i32) {}

  // The last value of a name; null if there is none.
  get(name: string): string | null {
    const length = one.put(name);
    let need = raw.map_get(this.number, one.at, length, out.at, out.size);
    if (need > out.size) need = raw.map_get(this.number, one.at, length, out.fit(need), need);
    return need < 0 ? null : outText(need);
  }

  has(name: string): bool {
    return raw.map_get(this.number, one.at, one.put(name), 0, 0) >= 0;
  }

  get size(): i32 {
    return raw.map_count(this.number);
  }

  // The entry at an index as name and value; null behind the last one.
  entry(index: i32): string[] | null {
    const lengths = raw.map_entry(this.number, index, out.at, out.size, out2.at, out2.size);
    if (lengths < 0) return null;
    const name = (lengths >> 32) as i32, value = lengths as i32;
    if (name > out.size || value > out2.size) {
      out.fit(name);
      out2.fit(value);
      raw.map_entry(this.number, index, out.at, out.size, out2.at, out2.size);
    }
    return [outText(name), String.UTF8.decodeUnsafe(out2.at, value)];
  }

  set(name: string, value: string): i32 {
    const n = one.put(name), v = two.put(value);
    return raw.map_set(this.number, one.at, n, two.at, v);
  }

  add(name: string, value: string): i32 {
    const n = one.put(name), v = two.put(value);
    return raw.map_add(this.number, one.at, n, two.at, v);
  }

  // Removes all values of a name and returns how many there were.
  delete(name: string): i32 {
    const n = one.put(name);
    return raw.map_del(this.number, one.at, n);
  }
}

// Content. Whoever reads it waits for it; whoever doesn't never does.
export class Body {
  constructor(public number: i32) {}

  get length(): i32 {
    return raw.body_len(this.number);
  }

  // Reads the next bytes into a buffer; 0 is the end.
  read(into: Uint8Array): i32 {
    return raw.body_read(this.number, into.dataStart, into.length);
  }

  // Reads all that is left.
  bytes(): Uint8Array {
    const all = new Uint8Array(max(this.length, 0));
    let got = 0;
    while (got < all.length) {
      const n = raw.body_read(this.number, all.dataStart + got, all.length - got);
      if (n <= 0) break;
      got += n;
    }
    return got < all.length ? all.slice(0, got) : all;
  }

  text(): string {
    const b = this.bytes();
    return String.UTF8.decodeUnsafe(b.dataStart, b.length);
  }

  // Adds to the new content.
  write(content: Uint8Array): i32 {
    return raw.body_write(this.number, content.dataStart, content.length);
  }

  // Makes a text the whole new content.
  set(content: string): i32 {
    const code = raw.body_reset(this.number);
    if (code) return code;
    const n = two.put(content);
    return raw.body_write(this.number, two.at, n);
  }
}

function field(number: i32): string {
  let need = raw.field_get(number, out.at, out.size);
  if (need > out.size) need = raw.field_get(number, out.fit(need), need);
  return need < 0 ? "" : outText(need);
}

function setField(number: i32, value: string): i32 {
  const n = one.put(value);
  return raw.field_set(number, one.at, n);
}

// The client's request. Each property asks the gateway for just what it returns.
export class Request {
  headers: Names = new Names(raw.MAP_HEADERS);
  query: Names = new Names(raw.MAP_QUERY);
  pathParams: Names = new Names(raw.MAP_PATH_PARAMS);
  stageVariables: Names = new Names(raw.MAP_STAGE_VARIABLES);
  context: Names = new Names(raw.MAP_CONTEXT);
  bag: Names = new Names(raw.MAP_BAG);
  body: Body = new Body(raw.BODY_REQUEST);

  get method(): string { return field(raw.FIELD_METHOD); }
  get path(): string { return field(raw.FIELD_PATH); }
  get fullPath(): string { return field(raw.FIELD_FULL_PATH); }
  get rawQuery(): string { return field(raw.FIELD_RAW_QUERY); }
  get routeKey(): string { return field(raw.FIELD_ROUTE_KEY); }
  get resource(): string { return field(raw.FIELD_RESOURCE); }
  get stage(): string { return field(raw.FIELD_STAGE); }
  get apiId(): string { return field(raw.FIELD_API_ID); }
  get id(): string { return field(raw.FIELD_REQUEST_ID); }
  get sourceIp(): string { return field(raw.FIELD_SOURCE_IP); }
  get protocol(): string { return field(raw.FIELD_PROTOCOL); }
  get host(): string { return field(raw.FIELD_HOST); }
  get scheme(): string { return field(raw.FIELD_SCHEME); }
  get principal(): string { return field(raw.FIELD_PRINCIPAL); }
  get methodArn(): string { return field(raw.FIELD_METHOD_ARN); }
  get domainName(): string { return field(raw.FIELD_DOMAIN_NAME); }

  // A field by its number in raw.ts.
  field(number: i32): string { return field(number); }

  header(name: string): string | null { return this.headers.get(name); }

  // AWS's proxy event, as JSON.
  event(): string {
    let need = raw.event_read(out.at, out.size);
    if (need > out.size) need = raw.event_read(out.fit(need), need);
    return need < 0 ? "" : outText(need);
  }

  setRawQuery(query: string): i32 { return setField(raw.FIELD_RAW_QUERY, query); }

  setPrincipal(id: string): i32 {
    const n = one.put(id);
    return raw.principal_set(one.at, n);
  }

  setContext(name: string, value: string): i32 {
    const n = one.put(name), v = two.put(value);
    return raw.context_set(one.at, n, two.at, v);
  }

  // What a client that is refused is told, in the roles authorize and validate.
  setMessage(text: string): i32 { return setField(raw.FIELD_MESSAGE, text); }
}

// A TXT record that is to be put into a DNS zone, or removed (action "cleanup").
// Names have no dot at their end; ttl is in seconds.
export class Record {
  get action(): string { return field(raw.FIELD_RECORD_ACTION); }
  get zone(): string { return field(raw.FIELD_RECORD_ZONE); }
  get name(): string { return field(raw.FIELD_RECORD_NAME); }
  get value(): string { return field(raw.FIELD_RECORD_VALUE); }
  get ttl(): i32 { return I32.parseInt(field(raw.FIELD_RECORD_TTL)); }
}

// What the client gets.
export class Response {
  headers: Names = new Names(raw.MAP_RESPONSE_HEADERS);
  backendHeaders: Names = new Names(raw.MAP_BACKEND_RESPONSE_HEADERS);
  body: Body = new Body(raw.BODY_RESPONSE);

  get status(): i32 { return I32.parseInt(field(raw.FIELD_STATUS)); }
  get backendStatus(): string { return field(raw.FIELD_BACKEND_STATUS); }
  get fault(): string { return field(raw.FIELD_FAULT); }

  setStatus(status: i32): i32 { return setField(raw.FIELD_STATUS, status.toString()); }

  // Makes up a whole answer.
  reply(status: i32, type: string, content: string): i32 {
    let code = this.setStatus(status);
    if (!code) code = this.headers.set("content-type", type);
    return code ? code : this.body.set(content);
  }

  // Makes up a whole answer and asks the gateway for it, in the role request.
  answer(status: i32, type: string, content: string): Verdict {
    const code = this.reply(status, type, content);
    return code ? (fail("the answer wasn't taken: code " + code.toString()) as Verdict) : Verdict.Answer;
  }

  // Answers with AWS's proxy response as JSON, in the role integrate.
  writeResult(answer: string): i32 {
    const n = one.put(answer);
    return raw.result_write(one.at, n);
  }
}

// What goes to the backend.
export class Backend {
  headers: Names = new Names(raw.MAP_BACKEND_HEADERS);
  body: Body = new Body(raw.BODY_BACKEND);

  get method(): string { return field(raw.FIELD_BACKEND_METHOD); }
  get target(): string { return field(raw.FIELD_BACKEND_TARGET); }
  get host(): string { return field(raw.FIELD_BACKEND_HOST); }

  setMethod(method: string): i32 { return setField(raw.FIELD_BACKEND_METHOD, method); }
  setTarget(target: string): i32 { return setField(raw.FIELD_BACKEND_TARGET, target); }
  setHost(host: string): i32 { return setField(raw.FIELD_BACKEND_HOST, host); }
}

export const request = new Request();
export const record = new Record();
export const response = new Response();
export const backend = new Backend();

// The plugin's config, as JSON.
export function config(): string {
  let need = raw.config_read(out.at, out.size);
  if (need > out.size) need = raw.config_read(out.fit(need), need);
  return need < 0 ? "{}" : outText(need);
}

// Makes the call fail. Return its result.
export function fail(why: string): i32 {
  const n = three.put(why);
  raw.fail(1, three.at, n);
  return -1;
}

export function log(level: Level, text: string): void {
  const n = one.put(text);
  raw.log(level, one.at, n);
}

export function logEnabled(level: Level): bool {
  return raw.log_enabled(level) == 1;
}

// Nanoseconds since 1970.
export function time(): i64 {
  return raw.time();
}

// Nanoseconds until the gateway stops the call.
export function deadlineLeft(): i64 {
  return raw.deadline_left();
}

// Fills an array of at most 64 KiB from the system's random numbers.
export function random(into: Uint8Array): i32 {
  return raw.random(into.dataStart, into.length);
}
