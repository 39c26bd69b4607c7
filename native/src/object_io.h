/* object_io.h: what can be done with each kind of object (objects.h): read, written,
 * waited for. One file a kind: sys_pipe.c, sys_event.c, sys_timer.c, sys_epoll.c,
 * sys_memory.c. */
#ifndef SKERRY_OBJECT_IO_H
#define SKERRY_OBJECT_IO_H

#include "syscall.h"

/* The buffers of a call, which are the guest's: nothing of them has been looked at. */
struct buffers {
    const struct guest_buffer *at;
    long count;
    uint64_t total; /* bytes */
};

/* Copies (len) bytes from (src) behind the first (skip) of (b), or from there to (dst).
 * Return how many: fewer at a buffer that the program may not use. */
uint64_t buffers_put(struct call *c, const struct buffers *b, uint64_t skip,
                     const void *src, uint64_t len);
uint64_t buffers_get(const struct call *c, const struct buffers *b, uint64_t skip,
                     void *dst, uint64_t len);

static inline int is_object(const struct open_file *file)
{
    return file->kind >= OPEN_PIPE && file->kind < OPEN_FILE;
}

/* read() and write() of an object, checked already for O_ACCMODE. */
long object_read(struct call *c, struct open_file *file, const struct buffers *b);
long object_write(struct call *c, struct open_file *file, const struct buffers *b);

/* Opens an object: the lowest number, or -errno. (number) is the object's, which ends
 * if there is no place for it; (flags) as of open(). */
long object_open(struct call *c, int kind, uint32_t flags, int number);

/* Makes an object of its own and opens it; (*made) is what is to be filled. */
long object_new(struct call *c, int kind, uint32_t flags, struct object **made);

/* close() of number (fd), whatever it is: 0 or -errno. */
long close_number(struct call *c, uint32_t fd);

/* st_mode of an object. */
uint32_t object_mode(const struct open_file *file);

/* It cannot be answered now: -EAGAIN if the file does not wait, else it waits until
 * (wake) for (what). */
long object_wait(struct call *c, const struct open_file *file, uint64_t wake,
                 const char *what);

/* Nobody reads what it writes: SIGPIPE, unless it is sent with MSG_NOSIGNAL, and
 * -EPIPE. */
long object_broken(struct call *c);

/* poll(): the events that open file (index) is ready for, of any kind of file. */
uint32_t ready_events(const struct machine *m, int index);

/* How often it may have become ready for one of (events): a number that changes. */
uint32_t ready_wakes(const struct machine *m, int index, uint32_t events);

/* When it will be by itself, on clock_now(), or WAITS_FOR_EVER. */
uint64_t ready_at(const struct machine *m, int index);

#define PIPE_FLAGS ((uint32_t)(O_CLOEXEC | O_NONBLOCK)) /* of pipe2 and socketpair */

/* Both numbers, of which an error may be one, go to the program at (addr), or there are
 * none. 0 or -errno. */
long give_both(struct call *c, long first, long second, uint64_t addr);

/* Bytes that a read would find: FIONREAD. */
long pipe_bytes(const struct machine *m, const struct open_file *file);

/* A file without a name, at an offset: as pread and pwrite; its size; ftruncate. */
long memory_read_at(struct call *c, const struct open_file *file,
                    const struct buffers *b, uint64_t offset);
long memory_write_at(struct call *c, const struct open_file *file,
                     const struct buffers *b, uint64_t offset);
uint64_t memory_size(const struct machine *m, const struct open_file *file);
long memory_resize(struct machine *m, const struct open_file *file, uint64_t size);

/* The kinds. */
typedef long object_call(struct call *c, struct open_file *file,
                         const struct buffers *b);
object_call pipe_read, pipe_write, event_read, event_write, timer_read, memory_read,
    memory_write, inet_read, inet_write;
typedef uint32_t object_look(const struct machine *m, const struct open_file *file);
object_look pipe_ready, event_ready, timer_ready, epoll_ready, inet_ready;
uint32_t inet_wakes(const struct machine *m, const struct open_file *file, int reads,
                    int writes);
void inet_closed(struct machine *m, const struct open_file *was);
uint64_t timer_at(const struct machine *m, const struct open_file *file);
uint64_t epoll_at(const struct machine *m, const struct open_file *file);

#endif
