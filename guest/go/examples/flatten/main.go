// JSON in, JSON out: {"a": {"b": [1, 2]}} becomes {"a.b.0": 1, "a.b.1": 2}.
//
//	curl -d '{"a": {"b": [1, 2]}}' .../flatten
//
// It reads the text once (RFC 8259) and writes while it reads. What stands in strings and
// numbers stays as it is written; an empty object or array stays one. The same program is
// there in C, Rust and Zig.
package main

import (
	"errors"
	"unicode/utf8"

	"skerry"
)

func flatten(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, errMalformed
	}
	f := flattening{reader: reader{text: text}}
	if err := f.value(0); err != nil {
		return nil, err
	}
	if f.skipSpace(); f.at != len(text) {
		return nil, errMalformed
	}
	err := add(&f.out, []byte("\n}\n"))
	return f.out, err
}

func handle(request *skerry.Request) skerry.Response {
	if len(request.Body()) == 0 {
		return skerry.Text(405, "POST some JSON\n")
	}
	flat, err := flatten(request.Body())
	switch {
	case errors.Is(err, errTooLarge):
		return skerry.Text(413, "the result is too large\n")
	case err != nil:
		return skerry.Text(400, "expected JSON\n")
	}
	return skerry.JSON(200, flat)
}

func main() { skerry.Serve(handle) }
