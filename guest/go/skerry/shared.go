package skerry

import "unsafe"

// Where the next piece of shared memory begins; 0 before the first.
var nextPiece uintptr

// Shared takes a T out of shared memory, zero when the host starts: memory that all
// requests and storage see, and that is not put back. The configuration needs
// "shared_memory": MB, and it panics if there is no room.
//
//	var count = skerry.Shared[atomic.Uint64]()
//
// T is an atomic of sync/atomic, or an array or struct of these. It holds no pointers.
// Call it for variables of a package, or in main: a request that takes a piece gets the
// same as other requests.
func Shared[T any]() *T {
	var piece T
	begin, ok := place(nextPiece, page(), unsafe.Sizeof(piece), unsafe.Alignof(piece))
	if !ok {
		panic("skerry: no room in shared_memory of the configuration")
	}
	nextPiece = begin + unsafe.Sizeof(piece)
	return (*T)(at(begin))
}

// place is the first address from (from) on, in shared memory, that is a multiple of
// (align) and has (size) bytes behind it.
func place(from uintptr, in *exchange, size, align uintptr) (uintptr, bool) {
	if from < in.shmBegin {
		from = in.shmBegin
	}
	begin := (from + align - 1) &^ (align - 1)
	return begin, begin <= in.shmEnd && size <= in.shmEnd-begin
}
