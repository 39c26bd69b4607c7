"""The beginning of programs that say what they find in their address space."""

from support.oracle import SHOW

# FAR is free on a Linux that has just started a static program. reads(), writes() look
# at a page through a system call, which says EFAULT where an access would be a fault.
# RESULT shows what a function of the C library returns, or why it failed.
ADDRESSES = (
    '#define NUMBER "%#lx"'
    + SHOW
    + r"""
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/uio.h>

#define RESULT(call) IS(result((long)(call)))
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
)
