// Package skerry answers HTTP requests inside of skerry.
//
//	func main() {
//		skerry.Serve(func(request *skerry.Request) skerry.Response {
//			return skerry.Text(200, "Hello from "+request.URL()+"\n")
//		})
//	}
//
// main runs once, up to Serve; there the machine is frozen. Every request goes on there in
// a fresh copy of it, so a request never sees what another one left in memory. A panic
// fails the request: the client gets a 500, and the log says why.
package skerry

import (
	"runtime"
	"strings"
	"unsafe"
)

const (
	waitPaused      = 0x10002
	backendResponse = 0x10010
	log             = 0x7F000
)

// Call makes host call nr: mostly it returns a count, or -errno. The arguments are as
// kvm_api.h says for this call: the host reads and writes where they point.
//
//go:noescape
func Call(nr uint64, a, b, c, d, e, f uintptr) int64

type rawHeader struct {
	field      *byte
	colon, len uint32
}

// Request is what a client has sent: struct kvm_request of kvm_api.h. It is gone after the
// response.
type Request struct {
	method, url, arg, contentType             *byte
	methodLen, urlLen, argLen, contentTypeLen uint16
	content                                   *byte
	contentLen                                uintptr
	headers                                   *rawHeader
	numHeaders, infoFlags                     uint16
	_                                         uint32
	random                                    [2]uint64
	_                                         [5]uint64
}

func text(at *byte, length uint16) string {
	return string(unsafe.Slice(at, int(length)))
}

// Method is the method, such as "GET".
func (r *Request) Method() string { return text(r.method, r.methodLen) }

// URL is path and query as the client sent them, with the program's name in it.
func (r *Request) URL() string { return text(r.url, r.urlLen) }

// Arg is what the configuration says for "arg".
func (r *Request) Arg() string { return text(r.arg, r.argLen) }

// ContentType is the type of the body; "" without one.
func (r *Request) ContentType() string { return text(r.contentType, r.contentTypeLen) }

// Body is the body; empty without one.
func (r *Request) Body() []byte { return unsafe.Slice(r.content, int(r.contentLen)) }

// Header is the value of the first header of that name, in any case; "" without one.
func (r *Request) Header(name string) string {
	for _, each := range unsafe.Slice(r.headers, int(r.numHeaders)) {
		line := string(unsafe.Slice(each.field, int(each.len)))
		if strings.EqualFold(line[:each.colon], name) {
			return strings.TrimSpace(line[each.colon+1:])
		}
	}
	return ""
}

// Response is what a handler answers: a status of 200 to 599, the body's type of at most
// 4095 bytes, the body.
type Response struct {
	Status      int16
	ContentType string
	Body        []byte
}

// Text is a response of plain text.
func Text(status int16, body string) Response {
	return Response{status, "text/plain; charset=utf-8", []byte(body)}
}

// Log writes a line to the host's log, behind the program's name.
func Log(line string) {
	bytes := []byte(line + "\n")
	Call(log, address(bytes), uintptr(len(line)), 0, 0, 0, 0)
	runtime.KeepAlive(bytes)
}

// The address of bytes, 0 of none; the garbage collector does not move what it has given.
func address(bytes []byte) uintptr {
	if len(bytes) == 0 {
		return 0
	}
	return uintptr(unsafe.Pointer(&bytes[0]))
}

func respond(response Response) {
	kind := []byte(response.ContentType)
	Call(backendResponse, uintptr(response.Status), address(kind), uintptr(len(kind)),
		address(response.Body), uintptr(len(response.Body)), 0)
	runtime.KeepAlive(kind)
	runtime.KeepAlive(response.Body)
}

// The host writes to it behind the runtime's back, so it is not on a stack, which moves.
var current = new(Request)

// Serve ends start-up, and has handler answer each request. It does not return.
func Serve(handler func(*Request) Response) {
	for {
		Call(waitPaused, uintptr(unsafe.Pointer(current)), 0, 0, 0, 0, 0)
		respond(handler(current))
	}
}
