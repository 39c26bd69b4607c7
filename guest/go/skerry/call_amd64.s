// A host call: the number in eax, arguments in the registers of the C convention.

#include "textflag.h"

// func Call(nr uint64, a, b, c, d, e, f uintptr) int64
TEXT ·Call(SB), NOSPLIT, $0-64
	MOVQ nr+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), CX
	MOVQ e+40(FP), R8
	MOVQ f+48(FP), R9
	BYTE $0xE7; BYTE $0x00 // out 0, eax: exactly two bytes
	MOVQ AX, ret+56(FP)
	RET
