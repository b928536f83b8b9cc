// An authorizer: it lets in who knows the token of the plugin's config,
// config = { token = "…" }.
import { allow, crypto, deny, unauthenticated } from "postern";

let token;

export function configure(config) {
  if (!config.token) throw new Error('config needs a token: config = { token = "…" }');
  token = config.token;
}

export function authorize(request) {
  const given = request.header("authorization") ?? "";
  if (!given.startsWith("Bearer ")) return unauthenticated;
  if (!crypto.equal(given.slice(7), token)) return deny;
  request.principal = "bearer";
  request.setContext("stage", request.stage);
  return allow;
}
