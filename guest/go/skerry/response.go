package skerry

import "unsafe"

// Response is what a handler answers. What the host refuses fails the request: a Status
// that is not 200 to 599, a ContentType of more than 4095 bytes, more than 64 Headers, or
// one with a line end.
type Response struct {
	Status      int
	ContentType string
	Body        []byte
	Headers     []Header
}

// Text is a response of plain text.
func Text(status int, body string) Response {
	return Response{status, "text/plain; charset=utf-8", []byte(body), nil}
}

// JSON is a response of bytes that are JSON already.
func JSON(status int, body []byte) Response {
	return Response{status, "application/json", body, nil}
}

// With is the response with one more header.
func (r Response) With(name, value string) Response {
	r.Headers = append(r.Headers[:len(r.Headers):len(r.Headers)], Header{name, value})
	return r
}

// struct ResponseHeader.
type rawField struct {
	field unsafe.Pointer
	len   uintptr
}

// struct BackendResponseExtra.
type rawExtra struct {
	headers          *rawField
	num              uint16
	cached           bool
	ttl, grace, keep float32
	_                [4]uint64
}

// The most headers of a response.
const maxHeaders = 64

// extra is what (headers) are for the host. Of too many it gets one too many, and
// refuses them.
func extra(headers []Header) *rawExtra {
	if len(headers) == 0 {
		return nil
	}
	if len(headers) > maxHeaders {
		headers = headers[:maxHeaders+1]
	}
	raw := make([]rawField, len(headers))
	for i, each := range headers {
		line := []byte(each.Name + ": " + each.Value)
		raw[i] = rawField{first(line), uintptr(len(line))}
	}
	return &rawExtra{headers: &raw[0], num: uint16(len(raw))}
}

func respond(r Response) {
	status := int16(r.Status)
	if int(status) != r.Status {
		status = 0 // which the host refuses, too
	}
	kind := []byte(r.ContentType)
	Call(callBackendResponse, uintptr(status), uintptr(first(kind)), uintptr(len(kind)),
		uintptr(first(r.Body)), uintptr(len(r.Body)),
		uintptr(unsafe.Pointer(extra(r.Headers))))
}
