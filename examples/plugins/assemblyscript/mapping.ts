// Mappings for a backend that speaks another JSON, and a check of what it is sent.
import { backend, fail, json, Judgement, request, response } from "postern";
export { postern_abi } from "postern";

// The content has to be an object with a name.
export function postern_validate(): Judgement {
  const limit = request.query.get("limit");
  if (limit !== null) {
    for (let i = 0; i < limit.length; i++) {
      const c = limit.charCodeAt(i);
      if (c < 48 || c > 57) return Judgement.InvalidParameters;
    }
  }
  const document = json.open(request.body);
  if (!document.ok || document.kind("$.name") != json.Kind.String) return Judgement.InvalidBody;
  return Judgement.Valid;
}

// {"name":N} becomes {"name":N,"from":ADDRESS}.
export function postern_map_request(): i32 {
  const document = json.open(request.body);
  if (!document.ok) return fail("the content isn't JSON");
  document.setText("$.from", request.sourceIp);
  backend.headers.set("x-api", request.apiId);
  return document.writeTo(backend.body);
}

// {"pet":P} becomes {"data":{"pet":P}}; the backend's 404 becomes 410.
export function postern_map_response(): i32 {
  if (response.backendStatus == "404") response.setStatus(410);
  response.headers.set("content-type", "application/json");
  return response.body.set('{"data":' + response.body.text() + "}");
}
