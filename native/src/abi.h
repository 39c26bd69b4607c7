/* abi.h: the guest API's numbers and layouts, from the one header that programs use. */
#ifndef SKERRY_ABI_H
#define SKERRY_ABI_H

#define KVM_API_LAYOUTS_ONLY
#include "kvm_api.h"

/* Ports that ring 3 may write: a 4-byte `out` to 0 is a host call, a 1-byte one to 1 is
 * a system call (from the stub). Exceptions come from ring 0 at 0x80 + vector. */
#define PORT_HOST_CALL 0
#define PORT_SYSCALL 1
#define PORT_EXCEPTION 0x80

#endif
