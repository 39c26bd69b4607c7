// Package skerry answers HTTP requests inside of skerry.
//
//	func main() {
//		skerry.Serve(func(request *skerry.Request) skerry.Response {
//			return skerry.Text(200, "Hello from "+request.Path()+"\n")
//		})
//	}
//
// main runs once, up to Serve; there the machine is frozen. Every request goes on there in
// a fresh copy of it, so a request never sees what another one left in memory. What must
// outlive a request lives in storage (Storage) or in shared memory (Shared).
//
// A handler may start goroutines; those that still run when it has answered end with the
// request. A panic fails the request: the client gets a 500, and the log says why.
//
// Go's runtime takes 80 MB of "max_memory" in the configuration, and what storage and
// net/http need comes on top: 128 is a good size.
package skerry

import (
	"runtime"
	"unsafe"
)

// Handler answers one request.
type Handler func(*Request) Response

// Serve ends start-up, and has handler answer each request. It does not return. It must
// come within the boot time (16 s).
func Serve(handler Handler) {
	runtime.GC() // once for all, and not in every request
	if IsStorage() {
		serveStorage()
	}
	for {
		Call(callWaitPaused, uintptr(unsafe.Pointer(current)), 0, 0, 0, 0, 0)
		respond(handler(current))
	}
}

// The host writes to it behind Go's back.
var current = new(Request)
