## Counts in storage: X-Counter is 1, 2, 3 ... What skerry.nim does not offer comes from
## kvm_api.h.

import skerry

{.pragma: api, header: "kvm_api.h", importc.}
type StorageFunction = proc (count: csize_t, buffers: pointer, room: csize_t) {.cdecl.}
proc sys_storage_allow(function: StorageFunction) {.api.}
proc sys_is_storage(): cint {.api.}
proc storage_call(function: StorageFunction, input: pointer, len: csize_t,
    result: pointer, room: csize_t): clong {.api.}
proc storage_return(data: pointer, len: csize_t) {.api.}

var count: int32

proc increment(n: csize_t, buffers: pointer, room: csize_t) {.cdecl.} =
  ## Runs in storage, where count stays; one call at a time.
  inc count
  storage_return(addr count, csize_t(sizeof(count)))

onGet proc (request: Request): Response =
  var counted: int32
  if storage_call(increment, nil, 0, addr counted, csize_t(sizeof(counted))) < 0:
    return text("try again\n", 503)
  result = text("Hello Compute World!")
  result.headers = @{"X-Counter": $counted}

if sys_is_storage() != 0:
  echo "Hello Storage World!"
sys_storage_allow(increment)
wait()
