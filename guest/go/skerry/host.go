package skerry

import "unsafe"

// Numbers of host calls, from kvm_api.h.
const (
	callWait            = 0x10001
	callWaitPaused      = 0x10002
	callBackendResponse = 0x10010
	callStorageNoReturn = 0x10013
	callStorageAllow    = 0x10707
	callStorage         = 0x10708
	callStorageTask     = 0x10709
	callStopStorageTask = 0x1070A
	callLog             = 0x7F000
)

// Call makes host call nr: mostly it returns a count, or -errno. The arguments are as
// kvm_api.h says for this call: the host reads and writes where they point. A pointer is
// converted in the list of arguments, as for syscall.Syscall.
func Call(nr uint64, a, b, c, d, e, f uintptr) int64

// See host_amd64.s.
func next(nr uint64, a, b uintptr) (count, buffers uintptr)
func enter()
func entry() uintptr

// The stack of Go where next has left it.
var stack uintptr

// exchange is the page that program and host share: struct kvm_api_exchange.
type exchange struct {
	magic, isStorage uint32
	shmBegin, shmEnd uintptr
}

func page() *exchange {
	return (*exchange)(at(0x100000))
}

// at is memory that is not Go's: it never moves.
func at(address uintptr) unsafe.Pointer {
	return unsafe.Add(nil, address)
}

// first is where bytes are, nil for none.
func first(bytes []byte) unsafe.Pointer {
	if len(bytes) == 0 {
		return nil
	}
	return unsafe.Pointer(&bytes[0])
}

// Log writes a line to the host's log, behind the program's name.
func Log(line string) {
	text := []byte(line)
	Call(callLog, uintptr(first(text)), uintptr(len(text)), 0, 0, 0, 0)
}
