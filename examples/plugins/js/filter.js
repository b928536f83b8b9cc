// A filter: every request and its answer carry a trace id, and what lies below
// /internal is hidden.
import { proceed } from "postern";

export function request(request, response) {
  if (request.path.startsWith("/internal")) {
    return response.answer(404, "application/json", '{"message":"not here"}');
  }
  const trace = request.header("x-trace") ?? request.id;
  request.headers.set("x-trace", trace);
  request.bag.set("trace", trace);
  return proceed;
}

export function response(request, response) {
  const trace = request.bag.get("trace");
  if (trace !== undefined) response.headers.set("x-trace", trace);
  response.headers.delete("x-powered-by");
}
