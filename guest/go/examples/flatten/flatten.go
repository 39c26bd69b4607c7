package main

import (
	"errors"
	"strconv"
)

const (
	maxDepth  = 100     // objects and arrays around a value
	maxResult = 4 << 20 // bytes: long names, once for each value, are long
)

var errTooLarge = errors.New("the result is too large")

// flattening is a text that is being read, the path of names to where it is read, and the
// result.
type flattening struct {
	reader
	path, out []byte
}

// add adds data to a buffer that may not grow without end.
func add(to *[]byte, data []byte) error {
	if len(data) > maxResult-len(*to) {
		return errTooLarge
	}
	*to = append(*to, data...)
	return nil
}

// value is the one that begins here or behind spaces, in so many others.
func (f *flattening) value(depth int) error {
	f.skipSpace()
	begin := f.at
	switch {
	case depth > maxDepth:
		return errMalformed
	case f.take('{'):
		if f.skipSpace(); f.take('}') {
			return f.emit([]byte("{}"))
		}
		return f.object(depth)
	case f.take('['):
		if f.skipSpace(); f.take(']') {
			return f.emit([]byte("[]"))
		}
		return f.array(depth)
	}
	if err := f.scalar(); err != nil {
		return err
	}
	return f.emit(f.text[begin:f.at])
}

func (f *flattening) object(depth int) error {
	for {
		f.skipSpace()
		name, err := f.string()
		if err != nil {
			return err
		}
		if f.skipSpace(); !f.take(':') {
			return errMalformed
		}
		if err := f.child(name, depth); err != nil {
			return err
		}
		if !f.take(',') {
			return f.expect("}")
		}
	}
}

func (f *flattening) array(depth int) error {
	for i := int64(0); ; i++ {
		if err := f.child(strconv.AppendInt(nil, i, 10), depth); err != nil {
			return err
		}
		if !f.take(',') {
			return f.expect("]")
		}
	}
}

// child is a value inside of another, where its name is name.
func (f *flattening) child(name []byte, depth int) error {
	before := len(f.path)
	if before > 0 {
		name = append([]byte("."), name...)
	}
	if err := add(&f.path, name); err != nil {
		return err
	}
	err := f.value(depth + 1)
	f.path = f.path[:before]
	f.skipSpace()
	return err
}

// emit writes the member value, whose name is the path.
func (f *flattening) emit(value []byte) error {
	begin := "{\n  \""
	if len(f.out) > 0 {
		begin = ",\n  \""
	}
	for _, each := range [][]byte{[]byte(begin), f.path, []byte("\": "), value} {
		if err := add(&f.out, each); err != nil {
			return err
		}
	}
	return nil
}
