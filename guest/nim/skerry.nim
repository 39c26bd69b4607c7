## Programs in Nim that skerry serves.
##
## .. code-block:: nim
##   import skerry
##
##   onGet proc (request: Request): Response =
##     text("Hello from " & request.path & "\n")
##   wait()
##
## The program runs once, up to `wait`; there the machine is frozen. Every request is
## answered by a handler in a fresh copy of it, so a request never sees what another one
## left in memory. An exception that a handler does not catch fails its request: the
## log says which, and the client gets a 500.
##
## This module is a layer over kvm_api.h. What it does not offer can be imported from
## there.

import std/[os, strutils]

const here = currentSourcePath().parentDir
{.passC: "-I" & quoteShell(here / ".." / "include").}
{.pragma: api, header: "kvm_api.h", importc.}

type
  RawHeader {.importc: "struct kvm_request_header", header: "kvm_api.h".} = object
    field: cstring
    field_colon, field_len: uint32
  RawRequest {.importc: "struct kvm_request", header: "kvm_api.h".} = object
    `method`, url, arg, content_type: cstring
    content: pointer
    content_len: csize_t
    headers: ptr UncheckedArray[RawHeader]
    num_headers: uint16
  RawField {.importc: "struct ResponseHeader", header: "kvm_api.h".} = object
    field: pointer
    field_len: csize_t
  RawExtra {.importc: "struct BackendResponseExtra", header: "kvm_api.h".} = object
    headers: ptr RawField
    num_headers: uint16

  Request* = object
    ## A request. `url` is path and query as the client sent them, with the program's
    ## name in it; `arg` is what the configuration says for "arg".
    verb*, url*, arg*, contentType*, body*: string
    headers*: seq[tuple[name, value: string]]

  Response* = object
    ## What a handler answers. `status` is 200 to 599, `contentType` has at most 4095
    ## bytes, and there are at most 64 `headers`, without line ends; else the request
    ## fails.
    status*: int
    contentType*, body*: string
    headers*: seq[tuple[name, value: string]]

  Handler* = proc (request: Request): Response {.nimcall.}

proc set_backend_request(fn: pointer) {.api.}
proc wait_for_requests() {.api.}
proc sys_log(text: pointer, len: csize_t) {.api.}
proc sys_backend_response(status: int16, ctype: pointer, ctlen: csize_t, body: pointer,
    len: csize_t, extra: ptr RawExtra) {.api.}

var getHandler, postHandler, requestHandler: Handler

proc address(text: string): pointer =
  ## Where the bytes of (text) are.
  if text.len == 0: nil else: unsafeAddr text[0]

proc log*(text: string) =
  ## Writes a line to the host's log, behind the program's name.
  sys_log(address(text), csize_t(text.len))

proc text*(body: string, status = 200): Response =
  ## A response of plain text.
  Response(status: status, contentType: "text/plain; charset=utf-8", body: body)

proc path*(request: Request): string =
  ## What is before the question mark.
  request.url.split('?', 1)[0]

proc header*(request: Request, name: string): string =
  ## The value of the first header of that name, in any case; "" if there is none.
  for each in request.headers:
    if cmpIgnoreCase(each.name, name) == 0:
      return each.value

proc onGet*(handler: Handler) =
  ## Has the handler answer requests without a body.
  getHandler = handler

proc onPost*(handler: Handler) =
  ## Has it answer requests that have a body, whatever their method; without a handler
  ## for those that have none, all.
  postHandler = handler

proc onRequest*(handler: Handler) =
  ## Has it answer all requests; it wins over the other two.
  requestHandler = handler

proc send(response: Response) =
  ## Responds, and ends the request here.
  var lines: seq[string]
  var fields: seq[RawField]
  for each in response.headers:
    lines.add(each.name & ": " & each.value)
  for line in lines:
    fields.add(RawField(field: address(line), field_len: csize_t(line.len)))
  var extra = RawExtra(num_headers: uint16(min(fields.len, int(high(uint16)))))
  if fields.len > 0:
    extra.headers = addr fields[0]
  sys_backend_response(int16(response.status), address(response.contentType),
      csize_t(response.contentType.len), address(response.body),
      csize_t(response.body.len), addr extra)

proc copy(raw: ptr RawRequest): Request =
  ## The request as values of Nim's own.
  result = Request(verb: $raw.`method`, url: $raw.url, arg: $raw.arg,
      contentType: $raw.content_type)
  if raw.content_len > 0:
    result.body = newString(int(raw.content_len))
    copyMem(addr result.body[0], raw.content, int(raw.content_len))
  for at in 0 ..< int(raw.num_headers):
    let line = $raw.headers[at].field
    let colon = int(raw.headers[at].field_colon)
    result.headers.add((line[0 ..< colon], line.substr(colon + 1).strip()))

proc choose(hasBody: bool): Handler =
  ## The handler for a request: as the host chooses a callback of a program in C.
  let preferred = if hasBody: postHandler else: getHandler
  for each in [requestHandler, preferred, getHandler, postHandler]:
    if each != nil:
      return each

proc answer(raw: ptr RawRequest) {.cdecl.} =
  try:
    let request = copy(raw)
    send(choose(request.body.len > 0)(request))
  except CatchableError as error:
    log("unhandled " & $error.name & ": " & error.msg)
    quit(1)

proc wait*() =
  ## Ends start-up: the machine is frozen here and answers requests from now on. Must
  ## come within the boot time (16 s). Without a handler the program does not start.
  if choose(false) != nil:
    set_backend_request(answer)
  wait_for_requests()
