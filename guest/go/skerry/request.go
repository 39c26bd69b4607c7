package skerry

import (
	"net/url"
	"strings"
	"unsafe"
)

// Request is what a client has sent. It is gone after the response; what its methods
// return is not.
type Request struct { // struct kvm_request of kvm_api.h
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

// struct kvm_request_header: "Name: value".
type rawHeader struct {
	field      *byte
	colon, len uint32
}

// Header is a field of a request or of a response.
type Header struct{ Name, Value string }

func text(at *byte, length uint16) string {
	return string(unsafe.Slice(at, int(length)))
}

// Method is the method, such as "GET".
func (r *Request) Method() string { return text(r.method, r.methodLen) }

// URL is path and query as the client sent them, with the program's name in it.
func (r *Request) URL() string { return text(r.url, r.urlLen) }

// Path is what is before the question mark, as the client sent it.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.URL(), "?")
	return path
}

// Query is what is behind the question mark; what is malformed there is left out.
func (r *Request) Query() url.Values {
	_, query, _ := strings.Cut(r.URL(), "?")
	values, _ := url.ParseQuery(query)
	return values
}

// Arg is what the configuration says for "arg".
func (r *Request) Arg() string { return text(r.arg, r.argLen) }

// ContentType is the type of the body; "" without one.
func (r *Request) ContentType() string { return text(r.contentType, r.contentTypeLen) }

// Body is the body; empty without one. It lives as long as the request.
func (r *Request) Body() []byte { return unsafe.Slice(r.content, int(r.contentLen)) }

// Headers is all headers in their order.
func (r *Request) Headers() []Header {
	headers := make([]Header, r.numHeaders)
	for i, each := range unsafe.Slice(r.headers, int(r.numHeaders)) {
		line := string(unsafe.Slice(each.field, int(each.len)))
		value := strings.TrimSpace(line[each.colon+1:])
		headers[i] = Header{line[:each.colon], value}
	}
	return headers
}

// Header is the value of the first header of that name, in any case; "" without one.
func (r *Request) Header(name string) string {
	for _, each := range r.Headers() {
		if strings.EqualFold(each.Name, name) {
			return each.Value
		}
	}
	return ""
}
