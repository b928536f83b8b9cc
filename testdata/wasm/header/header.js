// The smallest useful filter, for measuring: it reads one header and sets one.
import { proceed } from "postern";

export function request(request) {
  const agent = request.header("user-agent");
  if (agent !== undefined) request.headers.set("x-agent", agent);
  return proceed;
}
