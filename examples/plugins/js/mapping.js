// Mappings for a backend that speaks another JSON, and a check of what it is sent.
import { invalidBody, invalidParameters, valid } from "postern";

// The content has to be an object with a name.
export function validate(request) {
  if (!/^\d*$/.test(request.query.get("limit") ?? "")) return invalidParameters;
  try {
    return typeof request.body.json().name === "string" ? valid : invalidBody;
  } catch {
    return invalidBody;
  }
}

// {"name":N} becomes {"name":N,"from":ADDRESS}.
export function mapRequest(request, backend) {
  const document = request.body.json();
  document.from = request.sourceIp;
  backend.headers.set("x-api", request.apiId);
  backend.body.set(JSON.stringify(document));
}

// {"pet":P} becomes {"data":{"pet":P}}; the backend's 404 becomes 410.
export function mapResponse(request, response) {
  if (response.backendStatus === "404") response.status = 410;
  response.headers.set("content-type", "application/json");
  response.body.set(JSON.stringify({ data: response.body.json() }));
}
