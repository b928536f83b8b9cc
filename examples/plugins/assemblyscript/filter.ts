// A filter: every request and its answer carry a trace id, and what lies below
// /internal is hidden.
import { request, response, Verdict } from "postern";
export { postern_abi } from "postern";

export function postern_request(): Verdict {
  if (request.path.startsWith("/internal")) {
    return response.answer(404, "application/json", '{"message":"not here"}');
  }
  let trace = request.header("x-trace");
  if (trace === null) trace = request.id;
  request.headers.set("x-trace", trace);
  request.bag.set("trace", trace);
  return Verdict.Continue;
}

export function postern_response(): Verdict {
  const trace = request.bag.get("trace");
  if (trace !== null) response.headers.set("x-trace", trace);
  response.headers.delete("x-powered-by");
  return Verdict.Continue;
}
