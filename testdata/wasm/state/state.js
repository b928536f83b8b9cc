// Uses the groups that have to be granted, as header x-do says; x-in is an address.
import { http, kv, metric } from "postern";

let counter, gauge, histogram;

export function configure() {
  counter = metric.define("counter", "calls");
  gauge = metric.define("gauge", "level");
  histogram = metric.define("histogram", "size");
}

function values() {
  const value = () => kv.get("a") ?? "none";
  const all = [value()];
  kv.set("a", "one");
  all.push(0, value());
  all.push(Number(kv.compareAndSet("a", "two", "three")), Number(kv.compareAndSet("a", "one", "three")), value());
  all.push(kv.add("n", 2), kv.add("n", 3));
  kv.delete("a");
  kv.delete("n");
  all.push(value());
  return all.join(" ");
}

function figures() {
  counter.add(2);
  gauge.set(-7);
  histogram.observe(100);
  return "0";
}

function fetch(url) {
  let one;
  try {
    one = http.send(url, { method: "POST", headers: { "X-Ask": "c" }, body: "ping" });
  } catch (e) {
    return e.code === "denied" ? "-2" : e.code;
  }
  const other = http.send(url, { timeout: 1000 });
  return `${one.status} ${one.header("x-say") ?? "none"} ${one.text()} ${other.status}`;
}

export function request(request, response) {
  const what = request.header("x-do");
  const result = what === "kv" ? values() : what === "metric" ? figures() : fetch(request.header("x-in"));
  return response.answer(200, "text/plain", result);
}
