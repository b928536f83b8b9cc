# A filter in Nim: every request and its answer carry a trace id, and what lies
# below /internal is hidden. It uses C's headers, which Nim compiles to.
{.emit: """/*INCLUDESECTION*/
#include "plugin.h"
""".}

type Text {.importc: "postern_text", nodecl.} = object
  at: cstring
  len: csize_t

proc field(number: cint): Text {.importc: "postern_field", nodecl.}
proc get(map: cint, name: cstring): Text {.importc: "postern_get", nodecl.}
proc set(map: cint, name: cstring, value: Text): cint {.importc: "postern_set", nodecl, discardable.}
proc remove(map: cint, name: cstring): cint {.importc: "postern_remove", nodecl, discardable.}
proc begins(t: Text, prefix: cstring): cint {.importc: "postern_begins", nodecl.}
proc answer(status: cint, kind, content: cstring): cint {.importc: "postern_answer", nodecl.}
proc begin() {.importc: "postern_begin", nodecl.}

const
  path = 2.cint
  requestId = 9.cint
  headers = 1.cint
  responseHeaders = 6.cint
  bag = 7.cint
  proceed = 1.cint

proc request(): cint {.exportc: "postern_request", codegenDecl: "__attribute__((export_name(\"postern_request\"))) $# $#$#".} =
  begin()
  if field(path).begins("/internal") != 0:
    return answer(404, "application/json", """{"message":"not here"}""")
  var trace = get(headers, "x-trace")
  if trace.at == nil:
    trace = field(requestId)
  set(headers, "x-trace", trace)
  set(bag, "trace", trace)
  return proceed

proc response(): cint {.exportc: "postern_response", codegenDecl: "__attribute__((export_name(\"postern_response\"))) $# $#$#".} =
  begin()
  set(responseHeaders, "x-trace", get(bag, "trace"))
  remove(responseHeaders, "x-powered-by")
  return proceed
