// An integration: it greets whom the path names.
import { json, request, response } from "postern";
export { postern_abi } from "postern";

export function postern_integrate(): i32 {
  let greeting = request.stageVariables.get("greeting");
  if (greeting === null) greeting = "Hello";
  const name = request.pathParams.get("name");
  const message = greeting + ", " + (name ? name : "") + "!";
  return response.reply(200, "application/json", '{"message":' + json.quote(message) + "}");
}
