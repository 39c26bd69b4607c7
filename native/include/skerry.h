/* skerry.h: what the native core gives to Python. Read by C and, after the line
 * "cffi reads from here", by cffi (host/skerry/native_build.py).
 *
 * Sizes are in bytes and times in nanoseconds unless a name says otherwise. Functions
 * that can fail return 0 or a positive outcome, or -errno with (err) filled in. Objects
 * are counted: every _open or _boot is undone by its _close, in any order, and a _close
 * takes NULL. A vm serves one caller at a time, from any thread; everything else may
 * be shared by threads. */
#ifndef SKERRY_H
#define SKERRY_H

#include <stddef.h>
#include <stdint.h>

/* cffi reads from here */

/* What went wrong: (code) is an errno value; (step) is where, (text) why. */
struct skerry_error {
    int code;
    char step[64];
    char text[448];
};

/* How this machine's KVM behaves; found by running a guest. */
struct skerry_kvm_facts {
    int api_version; /* 12 */
    int ring0_stub;  /* 1: syscall enters ring 0 (hardware); 0: it stays in ring 3 */
    int reset_holds; /* 1: a reset machine showed nothing of its last request */
    int has_clock;   /* 1: guests read the clock without leaving */
    uint64_t xcr0;   /* register state that guests may use */
    uint32_t dirty_ring; /* largest dirty ring, bytes */
    uint32_t sync_regs;  /* KVM_CAP_SYNC_REGS */
    uint32_t exit_ns;    /* median round trip of KVM_RUN */
    char missing[256];   /* names of what skerry needs and this KVM lacks, or "" */
};

/* Opens /dev/kvm, once a process, and probes it. Any thread. */
int skerry_probe(struct skerry_kvm_facts *facts, struct skerry_error *err);

/* Opens /dev/kvm, once a process, and no more: for one that gets its machines from
 * another, which has probed. */
int skerry_open_kvm(struct skerry_error *err);

struct skerry_remains;
struct skerry_shm;
struct skerry_snapshot;
struct skerry_storage;
struct skerry_vm;

/* Shared memory of one program: (bytes) is a multiple of 2 MB. */
int skerry_shm_open(uint64_t bytes, struct skerry_shm **out, struct skerry_error *err);
void skerry_shm_close(struct skerry_shm *shm);

/* Handing over to another process: its descriptor, which stays its own; and from a
 * descriptor, which is taken over, whatever comes back. */
int skerry_shm_export(const struct skerry_shm *shm);
int skerry_shm_import(int fd, uint64_t bytes, struct skerry_shm **out,
                      struct skerry_error *err);

/* How a program is started. Strings and arrays are copied during the call. */
struct skerry_boot_options {
    const char *name;
    const uint8_t *elf;
    size_t elf_len;
    const char *const *argv; /* (argc) strings */
    uint32_t argc;
    const char *const *envp; /* (envc) strings, "KEY=VALUE" */
    uint32_t envc;
    uint32_t is_storage;
    uint32_t debug;                 /* is_debug says 1, breakpoints are logged */
    uint64_t max_memory;            /* multiple of 4096 */
    uint64_t address_space;         /* bytes that may be mapped beyond that */
    uint64_t max_request_memory;    /* pages one request may write, in bytes */
    uint64_t boot_ns;               /* limit of start-up */
    struct skerry_shm *shm;         /* or NULL */
    struct skerry_storage *storage; /* its storage VM, which is ready; or NULL */
    int opener; /* socket of who opens files for it, stays the caller's; -1: nobody */
    const char *directory;      /* where relative paths begin, absolute */
    const char *arg;            /* of all requests, at most 4095 bytes; may be NULL */
    const char *arg_header;     /* the header that has it, at most 255; or NULL */
    uint32_t keeps_state;       /* clones are not put back after a request */
    uint32_t control_ephemeral; /* the program may choose that */
    uint32_t hugepages;         /* of its memory, if the kernel has some */
    uint32_t warmup_requests;   /* made before it is frozen, each with ... */
    const char *warmup_method, *warmup_url;
    const char *warmup_headers;      /* lines "Name: value\r\n" */
    struct skerry_remains **remains; /* or NULL: where to put those of a program that
                                      * has failed; they become the caller's */
    int trace; /* socket that its calls are told on (struct skerry_call); 0: nobody */
    int *exit_status; /* or NULL: where to put the exit status of a program that ends
                       * instead of waiting, which still is an error */
};

/* Runs the program until it waits for requests, and freezes it. What it printed is
 * taken with skerry_console_take from (*console), also when it failed. */
struct skerry_console;
int skerry_boot(const struct skerry_boot_options *options,
                struct skerry_console *console, struct skerry_snapshot **out,
                struct skerry_error *err);
void skerry_snapshot_close(struct skerry_snapshot *snapshot);

/* Tells if a program (elf) can be loaded into (max_memory) bytes; (err) says why not. 0
 * or -errno. Runs nothing. */
int skerry_check_program(const uint8_t *elf, size_t elf_len, uint64_t max_memory,
                         struct skerry_error *err);

/* Handing over to another process of the same build. Export writes skerry_snapshot_size
 * bytes to (dst), and returns the descriptor of the memory, which stays the snapshot's.
 * Import takes (fd) over, whatever comes back. */
size_t skerry_snapshot_size(const struct skerry_snapshot *snapshot);
int skerry_snapshot_export(const struct skerry_snapshot *snapshot, void *dst);
int skerry_snapshot_import(const void *src, size_t size, int fd, struct skerry_shm *shm,
                           struct skerry_snapshot **out, struct skerry_error *err);

/* The files that start-up has opened, for another process. Files puts their descriptors
 * into (fds), which stay the snapshot's, and returns how many. Adopt gives them, and
 * (opener) or -1, to an imported snapshot, which owns all whatever comes back. */
enum { SKERRY_FILES = 64 };
int skerry_snapshot_files(const struct skerry_snapshot *snapshot,
                          int fds[SKERRY_FILES]);
int skerry_snapshot_adopt(struct skerry_snapshot *snapshot, int opener, const int *fds,
                          int count, struct skerry_error *err);

/* Calls of system calls that skerry does not have, by all clones, so far. */
uint64_t skerry_unknown_syscalls(const struct skerry_snapshot *snapshot);

/* Lines that programs print: a bounded queue. Take copies one line into (dst), and
 * returns its length and kind, or -1 when there is none. A line is at most 1024 bytes;
 * longer ones come in pieces. What no longer fits is dropped and counted in a line. */
enum {
    SKERRY_LINE_STDOUT = 1,
    SKERRY_LINE_STDERR = 2,
    SKERRY_LINE_LOG = 3,
    SKERRY_LINE_HOST = 4
};
struct skerry_console *skerry_console_open(void);
void skerry_console_close(struct skerry_console *console);

/* From now on what programs print goes to descriptors 1 and 2 at once, byte by byte as
 * it is: for a program that runs in a terminal. */
void skerry_console_pass(struct skerry_console *console);
int skerry_console_take(struct skerry_console *console, char *dst, size_t size,
                        int *kind);

/* The file that keeps the state of a storage VM. */
struct skerry_storage_file {
    int fd;                /* open for reading and writing; stays the caller's */
    const char *path;      /* its name in messages */
    const uint8_t *digest; /* 32 bytes: what program, started how, the state is of */
    const char *text;      /* that for messages, at most 95 bytes */
    int waits; /* answers wait until a power loss loses nothing that they tell of */
};

/* The storage VM of a program, from a frozen storage program. (call_ns) limits a call.
 * (file), or NULL, is read if it has a state, and else begun with that of the snapshot.
 * (control), which stays the caller's, is for a process that may not open files: a
 * memfd of no size yet, and the same opened anew for this process; or both are -1. Two
 * storage VMs of the same snapshot would share its memory: make one. */
int skerry_storage_open(struct skerry_snapshot *snapshot, uint64_t call_ns,
                        const struct skerry_storage_file *file, const int control[2],
                        struct skerry_console *console, struct skerry_storage **out,
                        struct skerry_error *err);
void skerry_storage_close(struct skerry_storage *storage);

/* Before its first call: what it calls is told on this socket (struct skerry_call). */
void skerry_storage_trace(struct skerry_storage *storage, int trace);

/* Handing over to another process of the same build, which then works on the same
 * state. Export writes skerry_storage_size bytes to (dst); the descriptors stay the
 * storage's own: memory, control, committed image, and the file or -1. Import takes
 * them over, whatever comes back; it takes one more: control, opened anew for this
 * process by one that may open /proc/self/fd, or -1: then it does that itself. */
size_t skerry_storage_size(const struct skerry_storage *storage);
void skerry_storage_export(const struct skerry_storage *storage, void *dst, int fds[4]);
int skerry_storage_import(const void *src, size_t size, const int fds[5],
                          struct skerry_shm *shm, uint64_t call_ns,
                          struct skerry_console *console, struct skerry_storage **out,
                          struct skerry_error *err);

/* What the storage VM was made from; stays the storage's. */
struct skerry_snapshot *skerry_storage_snapshot(struct skerry_storage *storage);

/* Makes all calls that have ended outlive a power loss; blocks. When it fails, no call
 * succeeds from then on. */
int skerry_storage_sync(struct skerry_storage *storage, struct skerry_error *err);

/* Changes whether answers wait for that, in all processes; only with a file. */
void skerry_storage_set_waits(struct skerry_storage *storage, int waits);

/* Tells if an answer that knows of commit (seen) has to wait for that. */
int skerry_storage_must_wait(const struct skerry_storage *storage, uint64_t seen);

/* Of all processes, since the storage was made; (repaired): owners that died;
 * (commits): the number of the last one, which goes on with a file. */
struct skerry_storage_counts {
    uint64_t calls, failed, repaired, commits;
    uint64_t tasks_run, tasks_failed; /* of the first, or given up before they ran */
    uint32_t tasks_pending;           /* now */
};
void skerry_storage_counts(const struct skerry_storage *storage,
                           struct skerry_storage_counts *to);

/* When a task of storage may be due, CLOCK_MONOTONIC ns; INT64_MAX: there is none. It
 * becomes earlier with SKERRY_TASKS, or when another process has ordered one. */
uint64_t skerry_storage_next_task(const struct skerry_storage *storage);

/* Runs the task that has been due for longest; may take 16 s. Any thread. Returns 1; 0:
 * none is due, or another process runs it; or -errno: it cannot be run now. */
int skerry_storage_run_task(struct skerry_storage *storage);

/* This process runs no further task; one that it runs ends soon, and is left to other
 * processes. */
void skerry_storage_stop_tasks(struct skerry_storage *storage);

/* Whether the program has registered on_live_update, or on_live_restore. */
int skerry_storage_leaves(const struct skerry_storage *storage);
int skerry_storage_restores(const struct skerry_storage *storage);

/* Hands what (old) knows over to (to), another build's: on_live_update,
 * on_live_restore, and a commit. Waits (wait_ns) for calls that run. 0: (old) takes no
 * call before skerry_storage_let_go; -errno: it goes on as it was, and (to) is to be
 * closed. */
int skerry_storage_hand_over(struct skerry_storage *old, struct skerry_storage *to,
                             uint64_t wait_ns, struct skerry_error *err);

/* Ends that. With (moved) all calls of (old) fail from now on, in all processes. */
void skerry_storage_let_go(struct skerry_storage *old, int moved);

/* Of the storage with the descriptor (control), see skerry_storage_export: whether that
 * has happened, 1 or 0; and takes it back, while nobody serves from the other build. Or
 * -errno. */
int skerry_storage_is_moved(int control);
int skerry_storage_move_back(int control);

/* How a clone serves; times in ns. */
struct skerry_limits {
    uint64_t request_ns;
    uint64_t inline_ns; /* skerry_run returns after about this; 0 = never */
    int hold;    /* leave the clone as the request left it until skerry_reset: for tests
                  * that look at it */
    int look;    /* a request that fails is SKERRY_BUSY and SKERRY_FAILED first, for
                  * skerry_vm_remains; skerry_resume goes on with on_error */
    int trace;   /* socket that its calls are told on (struct skerry_call); 0: nobody */
    int reaches; /* its sockets may lead somewhere: see skerry_connector */
};

/* A clone that answers requests. (storage) may be NULL. */
int skerry_vm_open(struct skerry_snapshot *snapshot, struct skerry_storage *storage,
                   const struct skerry_limits *limits, struct skerry_console *console,
                   struct skerry_vm **out, struct skerry_error *err);
void skerry_vm_close(struct skerry_vm *vm);

/* What the program answered: its header lines, Content-Length and the empty line
 * (head), then the body. Pointers are good until the next call with this vm. Unless
 * SKERRY_LARGE is set, head and body lie one behind the other at (out_at) of
 * skerry_vm_out, and the clone is back in the frozen state already. The first fields
 * have fixed places: Python reads them in one go. */
struct skerry_reply {
    int32_t status; /* 200..599; 500 when the request failed */
    uint32_t flags; /* SKERRY_HAS_* and the like */
    uint32_t out_at, head_len;
    uint64_t body_len;
    const char *head, *body;
    const char *reason;    /* why it failed, or "" */
    uint32_t exits;        /* KVM_RUN calls of this request, storage included */
    uint32_t storage_runs; /* of these, in the storage VM */
    uint64_t stream_len;   /* with SKERRY_STREAM: bytes of body to come, or UINT64_MAX:
                            * as many as there will be; then the head has no length */
    /* Only with SKERRY_FAILED: */
    uint64_t rip;             /* where the program was; 0: it had not begun */
    uint64_t caller;          /* the word on top of its stack: where a function that has
                               * pushed nothing returns to; 0: it is unreadable */
    const char *error_reason; /* why on_error failed too, or "" */
    uint64_t error_rip;
    uint64_t used_ns; /* by the request, on_error included */
};
enum {
    /* Of the head; 8 stays free for reply.c. */
    SKERRY_HAS_DATE = 1,
    SKERRY_HAS_SERVER = 2,
    SKERRY_HAS_TYPE = 4,
    /* There is no answer yet: */
    SKERRY_BUSY = 16,  /* skerry_resume goes on */
    SKERRY_WAITS = 32, /* skerry_wanted or skerry_awaited says what it waits for */
    SKERRY_MORE = 64,  /* skerry_post gives the next piece of body */
    /* There is one: */
    SKERRY_FAILED = 128,    /* the request failed, even if on_error has answered */
    SKERRY_DISCARD = 256,   /* the clone must be closed */
    SKERRY_LARGE = 512,     /* it is still in guest memory: take it, then reset */
    SKERRY_STREAM = 1024,   /* the body comes from skerry_stream, then reset */
    SKERRY_UNSYNCED = 2048, /* give it after skerry_storage_sync */
    /* Beside either: */
    SKERRY_LINES = 4096, /* the console has lines */
    SKERRY_TASKS = 8192, /* a task of storage is due earlier than before */
};
enum { SKERRY_OUT_SIZE = 65536, SKERRY_BATCH = 16, SKERRY_PIECE = 65536 };

/* Where small answers are: SKERRY_OUT_SIZE bytes, as long as the vm lives. */
const char *skerry_vm_out(const struct skerry_vm *vm);

/* SKERRY_BATCH replies, those of the last skerry_run first, in a place that stays. */
const struct skerry_reply *skerry_vm_replies(const struct skerry_vm *vm);

/* Puts a request last in the vm's batch. Strings end with a NUL, (headers) is lines
 * "Name: value\r\n"; all must live until it is answered. They are arguments, not a
 * struct, because cffi hands over bytes without a copy only so. 0, or -ENOSPC when the
 * batch is full. */
int skerry_add(struct skerry_vm *vm, const char *method, const char *url,
               const char *headers, const char *content_type, const char *body,
               size_t body_len);

/* Serves the batch, one request after the other, each from the frozen state. Returns
 * how many replies there are, at least one. It stops behind one that has DISCARD,
 * LARGE, BUSY, WAITS or STREAM set, and when the inline time is over; what is left of
 * the batch is forgotten. */
int skerry_run(struct skerry_vm *vm);

/* Carries a request that is SKERRY_BUSY to its end, on a thread that may wait: its
 * reply is the first of skerry_vm_replies. */
void skerry_resume(struct skerry_vm *vm);

/* The same on a thread that may not wait: SKERRY_BUSY after the inline time. */
void skerry_go_on(struct skerry_vm *vm);

/* What a request that is SKERRY_WAITS fetches, good until skerry_fetched: copies that
 * only the syntax of (fields), lines "Name: value\r\n", has been checked of. */
struct skerry_wanted {
    const char *url, *fields, *body;
    uint32_t url_len, fields_len;
    uint64_t body_len;
    uint64_t headers_room, content_room; /* what the program has memory for */
    uint32_t flags;                      /* SKERRY_FETCH_* */
};
enum {
    SKERRY_FETCH_POST = 1,
    SKERRY_FETCH_FOLLOW = 2, /* redirects */
    SKERRY_FETCH_DUMMY = 4,  /* check it, and send nothing */
};
enum {
    SKERRY_FETCH_URL = 8192,      /* bytes of a URL */
    SKERRY_FETCH_FIELD = 8192,    /* bytes of a field */
    SKERRY_FETCH_BODY = 16 << 20, /* bytes of a body, there and back */
    SKERRY_FETCHES = 32,          /* of one request */
};
/* NULL when it fetches nothing. */
const struct skerry_wanted *skerry_wanted(const struct skerry_vm *vm);

/* What has come of it: (result) is 0 or -errno; the rest only counts for 0. */
struct skerry_fetched {
    int32_t result;
    uint32_t status;
    const char *type, *headers, *content;
    uint64_t type_len, headers_len, content_len;
};

/* Of a request that is SKERRY_WAITS and fetches nothing: a descriptor that becomes
 * readable when its connections have news, and (ns) after which it is to go on all the
 * same, with skerry_go_on or skerry_resume; -1: it does not wait for connections. That
 * time counts for its limit. */
int skerry_awaited(const struct skerry_vm *vm, uint64_t *ns);

/* From now on connections of programs are asked for at (fd), a socket of kind
 * SOCK_SEQPACKET, which stays the caller's: see connector.h. 0 or -errno. */
int skerry_connector(int fd);

/* Gives the program what it waits for; skerry_go_on or skerry_resume is next. The time
 * since the request became SKERRY_WAITS does not count for its limit. */
void skerry_fetched(struct skerry_vm *vm, const struct skerry_fetched *got);

/* Tells if a body goes to the program piece by piece, while it arrives. */
int skerry_takes_pieces(const struct skerry_snapshot *snapshot);

/* Gives the program the next (len) bytes of body, at most skerry_body_limit, of the one
 * request that skerry_add has put into the batch, without a body; 0: that was all. The
 * reply is the first of skerry_vm_replies: SKERRY_MORE is set as long as the program
 * wants more, and SKERRY_BUSY is as for skerry_run; (data) may go when this returns.
 * The request's time runs while the guest does. To give up in between: skerry_reset. */
void skerry_post(struct skerry_vm *vm, const char *data, size_t len);

/* Has the program make the next piece of a body that is SKERRY_STREAM: the body of the
 * first of skerry_vm_replies, at most SKERRY_PIECE bytes in guest memory. SKERRY_STREAM
 * is set as long as more follow. Without (wait) it may be SKERRY_BUSY at the inline
 * time: call again, with it, on a thread that may wait. After SKERRY_FAILED there is no
 * piece; after the last one the clone is to be reset unless SKERRY_DISCARD is set. */
void skerry_stream(struct skerry_vm *vm, int wait);

/* Puts the clone back to the frozen state, and empties the batch. Once after each reply
 * without SKERRY_DISCARD. Returns the number of pages put back, or -errno: then close
 * the clone. */
int skerry_reset(struct skerry_vm *vm);

/* Largest request body that fits into the program's inbox. */
uint64_t skerry_body_limit(const struct skerry_snapshot *snapshot);

/* Pages that differ from the frozen image, found by comparing all of it: an oracle for
 * tests, slow. */
uint64_t skerry_differing_pages(const struct skerry_vm *vm);

/* --- What programs call, for people --- */

/* How far a system call is served. */
enum { SKERRY_UNKNOWN = 0, SKERRY_SERVED, SKERRY_PARTLY, SKERRY_REFUSED };
struct skerry_syscall {
    const char *name; /* "unnamed": Linux has no such number */
    const char *note; /* what is missing, or why it is refused, or "" */
    int status;
    int answered; /* it has a handler; else its answer is ENOSYS */
};

/* System call (number). 0, or -ENOENT: there are no numbers as high. */
int skerry_syscall(uint32_t number, struct skerry_syscall *to);

/* A call that a program has made, one packet on the socket (SOCK_SEQPACKET) that
 * (trace) of its options or limits names. Of each argument that may be a pointer there
 * are the first bytes behind it, before the call and after it. */
enum { SKERRY_CALL_SYSCALL = 1, SKERRY_CALL_HOST = 2, SKERRY_CALL_BYTES = 512 };
struct skerry_call {
    int32_t kind;
    int32_t storage; /* 1: made by storage */
    int32_t ends;    /* 1: its thread does not go on, there is no result */
    uint32_t thread; /* that made it; the first is 1 */
    uint64_t number, arg[6];
    int64_t result;
    uint32_t before_len[6], after_len[6]; /* 0: no pointer */
    uint8_t before[6][SKERRY_CALL_BYTES], after[6][SKERRY_CALL_BYTES];
};

/* --- A machine that has failed, to be looked at --- */

/* What one of its threads has in its registers. */
struct skerry_registers {
    uint32_t tid;
    uint64_t general[16]; /* as DWARF numbers them: rax, rdx, rcx, rbx, rsi, rdi, rbp,
                           * rsp, r8 to r15 */
    uint64_t rip, rflags, fs_base, gs_base;
    uint8_t fxsave[512]; /* as FXSAVE writes x87 and SSE */
};

/* Pages from (begin) to (end), not included, that the program may access in the same
 * way: (access) is 1 read | 2 write | 4 execute. */
struct skerry_range {
    uint64_t begin, end;
    uint32_t access;
};

/* The remains of (vm), whose request is SKERRY_BUSY and SKERRY_FAILED; good until
 * skerry_resume or skerry_vm_close. */
int skerry_vm_remains(struct skerry_vm *vm, struct skerry_remains **out,
                      struct skerry_error *err);
void skerry_remains_close(struct skerry_remains *remains);

/* Of its thread (i), 0 = that which has failed; NULL: it has no more. */
const struct skerry_registers *
skerry_remains_registers(const struct skerry_remains *remains, uint32_t i);

/* Why it has failed. */
const char *skerry_remains_reason(const struct skerry_remains *remains);

/* Copies (len) bytes at guest address (addr) into (dst). 0, or -EFAULT if the program
 * might not read all of them. */
int skerry_remains_read(const struct skerry_remains *remains, uint64_t addr, void *dst,
                        uint64_t len);

/* The first pages at (from) or above that the program has used. 1, or 0: none. */
int skerry_remains_next(const struct skerry_remains *remains, uint64_t from,
                        struct skerry_range *out);

/* --- The jail of a process that runs guests: see docs/security.md --- */

/* Strings and arrays are used during the call only. */
struct skerry_jail {
    uint32_t uid, gid;  /* what root becomes; uid 0: it stays */
    uint32_t max_files; /* open descriptors; 0: as it is */
    int kill;           /* a refused system call ends the process; else it fails
                         * with EPERM, and a line on descriptor 2 names it */
    const char *const *readable; /* (readable_count) directories that may be read */
    uint32_t readable_count;
};

/* What holds, in all threads but (outside). */
struct skerry_jail_facts {
    uint32_t landlock; /* the kernel's version of Landlock; 0: it has none */
    uint32_t outside;  /* threads from before that Landlock does not hold */
};

/* Before the process makes an event loop: from here on no io_uring can be made, since
 * what a ring does passes the jail's filter unseen. Sets no_new_privs. 0 or -errno. */
int skerry_jail_prepare(struct skerry_error *err);

/* Gives up all that serving does not need, for good. /dev/kvm (skerry_probe), sockets
 * and files have to be open. On failure the process is half in and half out: end it. */
int skerry_jail_enter(const struct skerry_jail *jail, struct skerry_jail_facts *facts,
                      struct skerry_error *err);

#endif
