// An authorizer: it lets in who knows the token of the plugin's config,
// config = { token = "…" }.
import { config, crypto, Decision, fail, json, request } from "postern";
export { postern_abi } from "postern";

let token = "";

export function postern_configure(): i32 {
  const given = json.parse(config()).get("$.token");
  if (!given) return fail('config needs a token: config = { token = "…" }');
  token = given;
  return 0;
}

export function postern_authorize(): Decision {
  const given = request.header("authorization");
  if (given === null || !given.startsWith("Bearer ")) return Decision.Unauthenticated;
  if (!crypto.equal(given.substring(7), token)) return Decision.Deny;
  request.setPrincipal("bearer");
  request.setContext("stage", request.stage);
  return Decision.Allow;
}
