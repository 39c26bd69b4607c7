/* tiny.h: the smallest program file: an ELF header, one segment, and code. */
#ifndef TINY_H
#define TINY_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#define TINY_ADDR 0x400000UL
#define TINY_ENTRY (TINY_ADDR + offsetof(struct tiny, code))

struct tiny {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    uint8_t code[512];
};

/* Makes a program that begins with (len) bytes of (code), at TINY_ENTRY. */
struct tiny tiny_program(const void *code, size_t len);

#endif
