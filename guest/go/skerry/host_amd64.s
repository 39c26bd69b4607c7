// Host calls, and what the host calls: nothing of this needs cgo.

#include "textflag.h"

#define OUT BYTE $0xE7; BYTE $0x00 // out 0, eax: exactly two bytes

// In bytes, as the assembler wants both in one function.
#define PUSH_BP BYTE $0x55
#define POP_BP BYTE $0x5D

// func Call(nr uint64, a, b, c, d, e, f uintptr) int64
//
// The number in eax, arguments in the registers of the C convention.
TEXT ·Call(SB), NOSPLIT, $0-64
	MOVQ nr+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), CX
	MOVQ e+40(FP), R8
	MOVQ f+48(FP), R9
	OUT
	MOVQ AX, ret+56(FP)
	RET

// func next(nr uint64, a, b uintptr) (count, buffers uintptr)
//
// Makes host call nr, which stops storage, and returns when the host calls a function
// there. All that Go must find again is its stack: it reads the rest anew from there.
TEXT ·next(SB), NOSPLIT, $0-40
	MOVQ nr+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	PUSH_BP
	MOVQ SP, ·stack(SB)
	OUT
	INT $3

// func enter()
//
// Where the host calls into storage, as a function of C, on a stack that is not Go's:
// goes on behind the last call of next, and has it return count and buffers.
TEXT ·enter(SB), NOSPLIT|NOFRAME, $0
	MOVQ ·stack(SB), SP
	POP_BP
	MOVQ DI, 32(SP)
	MOVQ SI, 40(SP)
	RET

// func entry() uintptr
TEXT ·entry(SB), NOSPLIT, $0-8
	LEAQ ·enter(SB), AX
	MOVQ AX, ret+0(FP)
	RET
