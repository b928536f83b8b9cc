// An integration: it greets whom the path names.
export function integrate(request, response) {
  const greeting = request.stageVariables.get("greeting") ?? "Hello";
  const message = `${greeting}, ${request.pathParams.get("name")}!`;
  response.reply(200, "application/json", JSON.stringify({ message }));
}
