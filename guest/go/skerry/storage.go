package skerry

import (
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// ErrStorage is what a storage call returns that gave no result: the function has
// panicked, run out of time, or been called from storage. Storage is as before.
var ErrStorage = errors.New("skerry: the storage call failed")

// MaxResult is the most bytes that a storage function may return; one that returns more
// fails.
const MaxResult = 64 << 10

// StorageHeap is how many bytes storage may have on Go's heap, as its memory cannot grow
// once requests come. To be changed in main, before Serve; it has to fit into "max_memory".
var StorageHeap = 16 << 20

// StorageFunc is a function that runs in storage.
type StorageFunc struct{ number uint64 }

var functions []func([]byte) []byte

// Storage makes function one that requests call in storage. With "storage": true in the
// configuration, the program runs in two machines, first in storage, which remembers:
// what is in variables there is the state. One call at a time runs.
//
//	var count uint64
//
//	var increment = skerry.Storage(func([]byte) []byte {
//		count++
//		return strconv.AppendUint(nil, count, 10)
//	})
//
// The function may start goroutines, which take turns; all that they wait for has to come
// from storage. A function that panics has changed nothing.
//
// Storage is for variables of a package, or for main before Serve, as both machines must make
// the same functions in the same order. The function gets a copy of what the request
// passes, and the request gets a copy of what it returns, at most MaxResult bytes.
func Storage(function func(input []byte) []byte) StorageFunc {
	Call(callStorageAllow, entry(), 0, 0, 0, 0, 0)
	functions = append(functions, function)
	return StorageFunc{uint64(len(functions) - 1)}
}

// IsStorage says whether this is the storage machine.
func IsStorage() bool { return page().isStorage != 0 }

// Call runs the function in storage with a copy of input, and waits for its result.
// Storage that is not configured fails the request.
func (f StorageFunc) Call(input []byte) ([]byte, error) {
	message := f.message(input)
	in := buffer{first(message), uintptr(len(message))}
	receiving.Lock()
	defer receiving.Unlock()
	length := Call(callStorage, entry(), 1, uintptr(unsafe.Pointer(&in)),
		uintptr(first(results[:])), MaxResult, 0)
	if length < 0 {
		return nil, ErrStorage
	}
	return append([]byte{}, results[:length]...), nil
}

// Task runs the function in storage as soon as that is free, with a copy of input, at
// most 2 MB, without waiting for it. Nobody gets its result.
func (f StorageFunc) Task(input []byte) error {
	_, err := f.Schedule(input, 0, 0)
	return err
}

// Schedule runs the function in storage after start, and every period after that if it
// is not 0. See Task.
func (f StorageFunc) Schedule(input []byte, start, period time.Duration) (Timer, error) {
	message := f.message(input)
	id := Call(callStorageTask, entry(), uintptr(first(message)), uintptr(len(message)),
		uintptr(start.Milliseconds()), uintptr(period.Milliseconds()), 0)
	if id < 0 {
		return Timer{}, ErrStorage
	}
	return Timer{id}, nil
}

// Timer is a function that runs in storage again and again.
type Timer struct{ id int64 }

// Stop ends it. It fails if that has been done, or if there was no period.
func (t Timer) Stop() error {
	if Call(callStopStorageTask, uintptr(t.id), 0, 0, 0, 0, 0) < 0 {
		return ErrStorage
	}
	return nil
}

// struct virtbuffer.
type buffer struct {
	data unsafe.Pointer
	len  uintptr
}

// Where results arrive, for one goroutine at a time.
var (
	receiving sync.Mutex
	results   [MaxResult]byte
)

// message is what the host passes on: all functions have one entry, which finds there
// which of them is meant.
func (f StorageFunc) message(input []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, f.number), input...)
}

// run runs the function that (message) is for.
func run(message []byte) []byte {
	function := functions[binary.LittleEndian.Uint64(message)]
	result := function(append([]byte{}, message[8:]...))
	if len(result) > MaxResult {
		panic("skerry: the result of a storage function is too long")
	}
	return result
}

// serveStorage ends start-up, and runs what the host calls.
func serveStorage() {
	keep := make([]byte, StorageHeap) // garbage by the next line: room for others
	runtime.KeepAlive(keep)
	time.Sleep(1) // has Go make what it waits with: a later one is taken back
	runtime.GC()
	_, buffers := next(callWait, 0, 0)
	for {
		in := (*buffer)(at(buffers))
		result := run(unsafe.Slice((*byte)(in.data), int(in.len)))
		_, buffers = next(callStorageNoReturn, uintptr(first(result)),
			uintptr(len(result)))
	}
}
