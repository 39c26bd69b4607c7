## Counts in shared memory: "Hello 0 World!", "Hello 1 World!" ... No request waits for
## another. What skerry.nim does not offer comes from kvm_api.h.

import std/atomics
import skerry

type SharedMemory {.importc: "struct shared_memory_info", header: "kvm_api.h".} = object
  `ptr`, `end`: uint64
proc shared_memory_area(): SharedMemory {.header: "kvm_api.h", importc.}

# The first word there, at the same address in every machine.
let count = cast[ptr Atomic[int]](shared_memory_area().`ptr`)

onGet proc (request: Request): Response =
  text("Hello " & $count[].fetchAdd(1) & " World!")

wait()
