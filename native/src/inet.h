/* inet.h: sockets of AF_INET and AF_INET6, which lead outward only: what a program has
 * set is in its object (objects.h), what they are connected to in net.h. */
#ifndef SKERRY_INET_H
#define SKERRY_INET_H

#include "net.h"
#include "object_io.h"

/* The object that open file (file) leads to; to look at, or to change. */
const struct object *inet_object(const struct machine *m, const struct open_file *file);
struct object *inet_change(struct machine *m, const struct open_file *file);

/* Its connection as it is now, or NULL. */
struct connection *inet_connection(const struct machine *m,
                                   const struct open_file *file);

/* The error of (one) that has not been told yet, or 0; it is told now. */
int inet_error(struct connection *one);

/* The call cannot be answered now: -EAGAIN if the file does not wait, else it waits for
 * (ns) at most, 0 = for ever, and is (late) then. */
long inet_wait(struct call *c, const struct open_file *file, uint64_t ns, long late);

/* shutdown(), by (how); and FIONREAD. */
long inet_shutdown(const struct machine *m, const struct open_file *file, int how);
long inet_bytes(const struct machine *m, const struct open_file *file);

/* Applies the options of (at) that (fd), its connection, was not made with. */
void inet_apply(const struct object *at, int fd);

/* Says in the log, once for a program, that it may not connect to (to). */
void connect_refused(const struct machine *m, const struct connector_ask *to);

/* A read or a write of socket (h) with (flags) of a message. */
long message_read(struct call *c, const struct handle *h, uint32_t flags,
                  const struct buffers *b);
long message_write(struct call *c, const struct handle *h, uint32_t flags,
                   const struct buffers *b);

/* The socket that the first argument of (c) names: AF_INET, AF_INET6, or one of a pair.
 * 0, -EBADF or -ENOTSOCK. */
int socket_of(const struct call *c, struct handle *h);

/* Writes (len) bytes of (data) to (to), as many as the program has room for: the int at
 * (room). Returns how many, -EFAULT or -EINVAL. */
long socket_give(const struct call *c, uint64_t to, uint64_t room, const void *data,
                 uint32_t len);

#endif
