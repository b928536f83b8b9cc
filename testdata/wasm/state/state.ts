// Uses the groups that have to be granted, as header x-do says; x-in is an address.
import { http, kv, metric, request, response, Verdict } from "postern";
export { postern_abi } from "postern";

let counter: metric.Metric | null = null;
let gauge: metric.Metric | null = null;
let histogram: metric.Metric | null = null;

export function postern_configure(): i32 {
  counter = metric.define(metric.Kind.Counter, "calls");
  gauge = metric.define(metric.Kind.Gauge, "level");
  histogram = metric.define(metric.Kind.Histogram, "size");
  return 0;
}

function orNone(s: string | null): string {
  return s === null ? "none" : s;
}

function values(): string {
  const all: string[] = [];
  all.push(orNone(kv.get("a")));
  all.push(kv.set("a", "one", 0).toString());
  all.push(orNone(kv.get("a")));
  all.push(kv.compareAndSet("a", "two", "three", 0) ? "1" : "0");
  all.push(kv.compareAndSet("a", "one", "three", 0) ? "1" : "0");
  all.push(orNone(kv.get("a")));
  all.push(kv.add("n", 2, 0).toString());
  all.push(kv.add("n", 3, 0).toString());
  kv.remove("a");
  kv.remove("n");
  all.push(orNone(kv.get("a")));
  return all.join(" ");
}

function fetch(url: string): string {
  const one = http.send("POST", url, "X-Ask: c\n", "ping");
  const other = http.send("GET", url, "", "", 1000000000);
  const status = one.status;
  if (status < 0) return status.toString();
  return status.toString() + " " + orNone(one.header("x-say")) + " " + one.text() + " " + other.status.toString();
}

export function postern_request(): Verdict {
  const what = orNone(request.header("x-do"));
  if (what == "kv") return response.answer(200, "text/plain", values());
  if (what == "metric") {
    const code = counter!.add(2) | gauge!.set(-7) | histogram!.observe(100);
    return response.answer(200, "text/plain", code.toString());
  }
  return response.answer(200, "text/plain", fetch(orNone(request.header("x-in"))));
}
