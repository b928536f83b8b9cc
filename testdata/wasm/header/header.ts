// The smallest useful filter, for measuring: it reads one header and sets one.
import { request, Verdict } from "postern";
export { postern_abi } from "postern";

export function postern_request(): Verdict {
  const agent = request.header("user-agent");
  if (agent !== null) request.headers.set("x-agent", agent);
  return Verdict.Continue;
}
