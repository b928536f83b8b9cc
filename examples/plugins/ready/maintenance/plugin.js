// A filter: while something is being repaired it answers in everybody's place,
// but lets through who repairs it.
//
//     config = { retry_after = 600, bypass = { addresses = ["10.0.0.0/8"] } }
import { crypto, proceed } from "postern";

let options, from, until, networks;

export function configure(config) {
  options = { status: 503, message: "We are repairing something and will be back soon.", paths: [], ...config };
  options.bypass ??= {};
  from = instant("from", options.from);
  until = instant("until", options.until);
  if (from >= until) throw new Error("until isn't after from");
  networks = (options.bypass.addresses ?? []).map((text) => {
    const n = network(text);
    if (!n) throw new Error(`bypass.addresses: ${JSON.stringify(text)} is no address and no network such as 10.0.0.0/8`);
    return n;
  });
  if (options.bypass.secret && !options.bypass.header) options.bypass.header = "x-maintenance-bypass";
}

function instant(key, text) {
  if (text === undefined) return undefined;
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(time)) throw new Error(`${key} isn't a time such as 2026-03-01T02:00:00Z`);
  return time;
}

export function request(request, response) {
  const { header, secret } = options.bypass;
  let passes = false;
  if (secret) {
    const given = request.header(header);
    if (given !== undefined) {
      passes = crypto.equal(given, secret);
      request.headers.delete(header); // it is nobody's business behind the gateway
    }
  }
  if (!underWay(Date.now()) || passes || isOpen(request.path) || isFriend(request.sourceIp)) return proceed;

  const { status, message, page } = options;
  const after = until === undefined ? options.retry_after : Math.ceil((until - Date.now()) / 1000);
  if (after !== undefined) response.headers.set("retry-after", Math.max(after, 1));
  response.headers.set("cache-control", "no-store");
  const accept = request.header("accept") ?? "";
  if (/\btext\/html\b/i.test(accept)) return response.answer(status, "text/html; charset=utf-8", page ?? html(message));
  return response.answer(status, "application/json", JSON.stringify({ message }));
}

const underWay = (now) => (from === undefined || now >= from) && (until === undefined || now < until);

// isOpen: "/health" is that path, "/health/*" what lies below. Two servers may
// read a path with ".." or an escape in two ways, so none of those is open.
function isOpen(path) {
  if (/%|\/\.|\/\/|\\/.test(path)) return false;
  return options.paths.some((p) => (p.endsWith("/*") ? path.startsWith(p.slice(0, -1)) : path === p));
}

const isFriend = (text) => {
  if (networks.length === 0) return false;
  const address = parse(text);
  return address !== undefined && networks.some((n) => address >= n.first && address <= n.last);
};

function html(message) {
  const text = message.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Maintenance</title>
<body style="font:1.1em/1.5 system-ui;max-width:32em;margin:20vh auto;padding:0 1em"><p>${text}</p></body></html>\n`;
}

// parse returns an address of either family as a number: IPv4 is ::ffff:a.b.c.d.
function parse(text) {
  const four = /^(.*:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (four) {
    const bytes = four.slice(2);
    if (bytes.some((b) => b > 255 || (b.length > 1 && b[0] === "0"))) return undefined;
    const low = bytes.reduce((sum, b) => sum * 256 + Number(b), 0);
    if (four[1] === undefined) return 0xffff00000000n + BigInt(low);
    text = `${four[1]}${(low >>> 16).toString(16)}:${(low & 0xffff).toString(16)}`;
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map((h) => (h === "" ? [] : h.split(":")));
  const gap = 8 - before.length - (after?.length ?? 0);
  if (after ? gap < 1 : gap !== 0) return undefined;
  const groups = [...before, ...Array(gap).fill("0"), ...(after ?? [])];
  if (!groups.every((g) => /^[0-9a-f]{1,4}$/i.test(g))) return undefined;
  return BigInt("0x" + groups.map((g) => g.padStart(4, "0")).join(""));
}

function network(text) {
  const [, address, prefix] = /^([^/]+?)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const first = address === undefined ? undefined : parse(address);
  if (first === undefined) return undefined;
  const width = address.includes(":") ? 128 : 32;
  const bits = Number(prefix ?? width);
  const rest = (1n << BigInt(Math.max(width - bits, 0))) - 1n;
  if (bits > width || (first & rest) !== 0n) return undefined;
  return { first, last: first | rest };
}
