package main

import (
	"bytes"
	"errors"
)

var errMalformed = errors.New("not JSON")

// reader is a text that is being read.
type reader struct {
	text []byte
	at   int
}

// peek is the byte that comes next; 0, which is no part of JSON, at the end.
func (r *reader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *reader) take(b byte) bool {
	if r.peek() != b {
		return false
	}
	r.at++
	return true
}

func (r *reader) expect(expected string) error {
	if !bytes.HasPrefix(r.text[r.at:], []byte(expected)) {
		return errMalformed
	}
	r.at += len(expected)
	return nil
}

func (r *reader) skipSpace() {
	for r.peek() == ' ' || r.peek() == '\t' || r.peek() == '\n' || r.peek() == '\r' {
		r.at++
	}
}

// scalar reads a string, a number or a word.
func (r *reader) scalar() error {
	switch r.peek() {
	case '"':
		_, err := r.string()
		return err
	case 't':
		return r.expect("true")
	case 'f':
		return r.expect("false")
	case 'n':
		return r.expect("null")
	}
	return r.number()
}

// string reads a string, and returns what stands between its quotes.
func (r *reader) string() ([]byte, error) {
	if !r.take('"') {
		return nil, errMalformed
	}
	begin := r.at
	for !r.take('"') {
		if r.peek() < ' ' {
			return nil, errMalformed
		}
		if !r.take('\\') {
			r.at++
		} else if err := r.escape(); err != nil {
			return nil, err
		}
	}
	return r.text[begin : r.at-1], nil
}

func (r *reader) escape() error {
	kind := r.peek()
	if bytes.IndexByte([]byte(`"\/bfnrtu`), kind) < 0 {
		return errMalformed
	}
	r.at++
	for i := 0; kind == 'u' && i < 4; i++ {
		if bytes.IndexByte([]byte("0123456789abcdefABCDEF"), r.peek()) < 0 {
			return errMalformed
		}
		r.at++
	}
	return nil
}

func (r *reader) number() error {
	r.take('-')
	if !r.take('0') && !r.digits() {
		return errMalformed
	}
	if r.take('.') && !r.digits() {
		return errMalformed
	}
	if r.take('e') || r.take('E') {
		if !r.take('+') {
			r.take('-')
		}
		if !r.digits() {
			return errMalformed
		}
	}
	return nil
}

// digits reads digits, and says whether there were any.
func (r *reader) digits() bool {
	begin := r.at
	for r.peek() >= '0' && r.peek() <= '9' {
		r.at++
	}
	return r.at > begin
}
