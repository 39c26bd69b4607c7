/* x86.h: the constants of the processor that we set. Names and numbers: Intel SDM
 * volume 3, chapters 2 to 7; AMD APM volume 2. */
#ifndef SKERRY_X86_H
#define SKERRY_X86_H

#define PTE_PRESENT (1UL << 0)
#define PTE_WRITE (1UL << 1)
#define PTE_USER (1UL << 2)
#define PTE_ACCESSED (1UL << 5)
#define PTE_DIRTY (1UL << 6)
#define PTE_NO_EXECUTE (1UL << 63)
#define PTE_ADDRESS 0x000ffffffffff000UL

#define CR0_PE (1UL << 0)
#define CR0_MP (1UL << 1)
#define CR0_ET (1UL << 4)
#define CR0_NE (1UL << 5)
#define CR0_WP (1UL << 16)
#define CR0_AM (1UL << 18)
#define CR0_PG (1UL << 31)

#define CR4_PAE (1UL << 5)
#define CR4_OSFXSR (1UL << 9)
#define CR4_OSXMMEXCPT (1UL << 10)
#define CR4_UMIP (1UL << 11)
#define CR4_FSGSBASE (1UL << 16)
#define CR4_OSXSAVE (1UL << 18)
#define CR4_SMEP (1UL << 20)
#define CR4_SMAP (1UL << 21)

#define EFER_SCE (1UL << 0)
#define EFER_LME (1UL << 8)
#define EFER_LMA (1UL << 10)
#define EFER_NXE (1UL << 11)

#define MSR_STAR 0xC0000081u
#define MSR_LSTAR 0xC0000082u
#define MSR_FMASK 0xC0000084u

#define RFLAGS_FIXED (1UL << 1)
#define RFLAGS_TF (1UL << 8)
#define RFLAGS_IF (1UL << 9)
#define RFLAGS_DF (1UL << 10)
#define RFLAGS_NT (1UL << 14)
#define RFLAGS_RF (1UL << 16)
#define RFLAGS_AC (1UL << 18)

/* x87, SSE, AVX, AVX-512: the state that we let guests have. Not AMX, not PKRU. */
#define XCR0_ALLOWED 0xe7UL
#define XSAVE_LEAST 576  /* bytes of an image of x87 and SSE, with its header */
#define XSAVE_LEGACY 512 /* of these, before the header */
#define XSAVE_MOST 4096  /* bytes that KVM_GET_XSAVE gives */

/* Selectors. SYSRET wants user data and user code in this order (SDM 5.8.8). */
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_SYSRET_BASE 0x18
#define SEL_USER_DATA 0x23
#define SEL_USER_CODE 0x2b
#define SEL_TSS 0x30

#define DESC_KERNEL_CODE 0x00AF9B000000FFFFUL
#define DESC_KERNEL_DATA 0x00CF93000000FFFFUL
#define DESC_USER_DATA 0x00CFF3000000FFFFUL
#define DESC_USER_CODE 0x00AFFB000000FFFFUL
#define SEG_TYPE_CODE 11
#define SEG_TYPE_DATA 3
/* Intel enters a guest with a busy TSS only (SDM volume 3, 26.3.1.2); an emulated SVM
 * was seen to look at the I/O bitmap of an available one only. */
#define SEG_TYPE_TSS_BUSY 11
#define SEG_TYPE_TSS_AVAILABLE 9

#define GATE_INTERRUPT 0x8e
#define GATE_USER 0xee /* that ring 3 may enter by itself */
#define VECTOR_COUNT 32
#define VECTOR_BREAKPOINT 3
#define VECTOR_PROTECTION 13
#define VECTOR_PAGE_FAULT 14
#define VECTOR_X87 16
#define VECTOR_SIMD 19
#define PAGE_FAULT_PRESENT 1UL
#define PAGE_FAULT_USER 4UL
#define PAGE_FAULT_TELLS 0x13UL /* of ring 3: present, writing, executing */
/* Exceptions that push an error code: 8, 10-14, 17, 21, 29, 30. */
#define VECTORS_WITH_ERROR 0x60227d00u

#endif
