"""The beginning of programs that say what they find in their address space."""

# FAR is free on a Linux that has just started a static program. reads(), writes() look
# at a page through a system call, which says EFAULT where an access would be a fault.
SHOW = r"""
#define _GNU_SOURCE
#include "kvm_api.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char text[1 << 17];
static size_t used;
static void show(const char *call, long value)
{
    const char *name = value < 0 && value > -4096 ? strerrorname_np(-value) : NULL;
    if (name)
        used += sprintf(text + used, "%s = %s\n", call, name);
    else
        used += sprintf(text + used, "%s = %#lx\n", call, value);
}
static long result(long value) { return value == -1 ? -errno : value; }
#define TRY(name, ...) \
    show(#name "(" #__VA_ARGS__ ")", result(syscall(SYS_##name, ##__VA_ARGS__)))
#define IS(value) show(#value, value)
#define FAR 0x600000000000ul
#define PAGE 4096ul
#define MB 0x100000ul
#define GB 0x40000000ul
#define RW 3
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define FIXED (ANON | MAP_FIXED)
#define NOREPLACE (ANON | MAP_FIXED_NOREPLACE)
static char *at(unsigned long n) { return (char *)(FAR + n); }
static long reads(unsigned long n) { return result(write(2, at(n), 1)); }
static long writes(unsigned long n) { return result(getrandom(at(n), 1, 0)); }
"""
