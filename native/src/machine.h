/* machine.h: one guest: its memory, its vCPU, and what the host knows of its program.
 *
 * A machine boots a program, or is a clone that serves, or is a storage VM. */
#ifndef SKERRY_MACHINE_H
#define SKERRY_MACHINE_H

#include "abi.h"
#include "bounce.h"
#include "caching.h"
#include "console.h"
#include "error.h"
#include "fields.h"
#include "files.h"
#include "guestmem.h"
#include "objects.h"
#include "process.h"
#include "regexes.h"
#include "space.h"
#include "tasks.h"
#include "trace.h"
#include "vcpu.h"
#include "watchdog.h"

#define CALLBACKS 8 /* register_func's idx is 1..7 */
#define ALLOW_MAX 256
#define REASON_SIZE 256
#define SYSCALL_NUMBERS 512
#define ARG_SIZE 4096

enum callback {
    ON_GET = 1,
    ON_POST = 2,
    ON_REQUEST = 3,
    ON_STREAM_POST = 4,
    ON_ERROR = 5,
    ON_LIVE_UPDATE = 6,
    ON_LIVE_RESTORE = 7
};

/* What a program has told during start-up; does not change after. */
struct program_facts {
    char name[64];
    int is_storage;
    int debug; /* allow_debug */
    uint64_t max_memory, max_request_memory;
    uint64_t callback[CALLBACKS]; /* functions in the guest, 0 = none */
    uint64_t allow[ALLOW_MAX];    /* storage functions that may be called */
    uint32_t allow_count;
    uint64_t fs_base, gs_base; /* at the wait */
    struct kvm_regs paused;    /* likewise, of a program that goes on behind it */
    uint64_t paused_request;   /* the struct kvm_request that it waits with, 0 = none */
    int ephemeral;             /* a clone is put back after each request ... */
    int control_ephemeral;     /* ... unless the program says otherwise */
    char arg[ARG_SIZE];        /* of every request, or ... */
    char arg_header[256];      /* ... the name of the header that has it, "" = none */
};

/* Counted over all machines of a program. */
struct program_counters {
    uint64_t unknown_syscalls;
    uint64_t logged[SYSCALL_NUMBERS / 64]; /* bit n: system call n has been logged */
    uint64_t logged_calls;                 /* unknown host calls so far */
    uint32_t connections;                  /* that its machines have now */
    uint32_t told;                         /* what the log has been told once */
};

/* A request as it came. */
struct request {
    const char *method, *url, *headers, *content_type, *body;
    size_t method_len, url_len, headers_len, content_type_len, body_len;
};

/* A response whose body the program gives piece by piece: see stream.h. */
struct stream {
    uint64_t function, arg; /* function 0: the body is there already */
    uint64_t total;         /* bytes; STREAM_UNKNOWN: until a piece of 0 bytes */
    uint64_t written;       /* of these */
    uint64_t rsp;           /* of the function that began it: its frame lives on */
    int in_piece;           /* the function runs */
};
#define STREAM_UNKNOWN UINT64_MAX

/* What the request that is being served has given and got. */
struct exchange {
    const struct request *request; /* valid while it is served */
    struct fields sent;            /* request headers as the program changed them */
    int sent_ready;
    struct fields answered; /* response headers */
    struct caching caching;
    int status; /* 0 = no response yet */
    char content_type[4096];
    uint32_t content_type_len;
    const uint8_t *body; /* in guest memory */
    uint64_t body_len;
    struct stream stream;
};

/* What a storage function has returned. */
struct storage_result {
    int ready;
    uint8_t *data; /* malloc'ed, or NULL */
    uint64_t len;
};

/* What another build has handed over, while on_live_restore runs. */
struct restore {
    const uint8_t *data;
    uint64_t len;
    int taken;
};

/* How a program sleeps, beside until when; zeros once it is awake. */
struct sleep {
    uint64_t left_at;         /* where a handler finds the time left, 0 = nowhere */
    uint64_t wanted, info_at; /* signals that end it; where their siginfo goes, or 0 */
    uint64_t restart; /* 1 + the number of the call that SA_RESTART makes again, or 0 */
    uint64_t always;  /* ... and so does any other handler */
};

struct fetch;   /* fetch.h */
struct net;     /* net.h */
struct threads; /* threads.h */
/* A host call that was interrupted is made again. */
enum again { AGAIN_NOT, AGAIN, AGAIN_TO_THE_END };

struct machine {
    struct guestmem mem;
    struct dirty dirty;
    struct vm vm;
    struct watch watch;
    struct space space;      /* its far ranges */
    struct bounce bounce;    /* copies of far memory that the call which runs needs */
    int stale_tables;        /* KVM has to look at the page tables anew */
    struct process *process; /* of this machine; a storage VM's is shared by workers */
    struct files files;      /* behind process->files */
    struct objects objects;  /* likewise */
    struct program_facts *facts;
    struct program_counters *counters;
    struct skerry_console *console;
    struct exchange exchange;
    struct storage_result result;
    struct restore *restore; /* of storage, in on_live_restore; or NULL */
    struct regexes regexes;
    struct trace *trace; /* who is told of its calls, or NULL */
    enum again again;
    struct tasks *tasks;     /* of storage; while it boots its own, or NULL */
    struct fetch *fetch;     /* what the program waits for, or NULL; malloc'ed */
    uint32_t fetches;        /* of this request */
    struct net *net;         /* its connections; NULL: there were none */
    int reaches;             /* the configuration lets it connect to somebody */
    struct threads *threads; /* NULL: there is but one */
    int booting;             /* start-up calls are allowed */
    int warming;     /* serves requests that nobody has made, before it is frozen */
    int ephemeral;   /* it will be put back after this request */
    int is_kept;     /* it was not put back after the last one, which ... */
    int last_paused; /* ... the program took that goes on behind its wait */
    int has_next;    /* (next) waits for the program to wait */
    struct kvm_request next;
    uint64_t deadline; /* of what runs now */
    uint64_t pause;    /* when it is to be left for a while, 0 = never */
    uint64_t look;     /* when to look for a result in the exchange page, 0 = never */
    uint64_t tick;     /* when another thread has its turn, 0 = never */
    uint64_t asleep;   /* the program sleeps until then (clock_now), 0 = it is awake */
    struct sleep sleep;
    int waits;           /* its system call is made again when it wakes: see waits.h */
    uint64_t wait_until; /* when that call gives up, 0: it has not begun to wait */
    uint32_t exits;      /* KVM_RUN calls since they were last set to 0 */
    uint32_t storage_exits;
    uint64_t returned[2];     /* rax and rdx of the callback that returned last */
    uint64_t reqmem_upper;    /* bytes: the most that one request has written */
    int touched;              /* a system call may have changed (*process) */
    int exited, exit_status;  /* the program has ended itself */
    char reason[REASON_SIZE]; /* why the run failed, or "" */
};

/* Notes why the run fails, if nothing has been noted yet. Returns -EPROTO. */
__attribute__((format(printf, 2, 3))) int machine_fail(struct machine *m,
                                                       const char *fmt, ...);

/* Wires guest memory to the machine's own far ranges, and to its process, which is set.
 */
void machine_wire(struct machine *m);

/* Has KVM look at the page tables anew: 0, or -EPROTO and the run has failed. Entries
 * that allow less than before are not seen otherwise; those that allow more are. */
int machine_forget_tables(struct machine *m);

/* A call of the guest begins, and ends: 0, or -EPROTO: there was no memory for it. */
void machine_begin_call(struct machine *m);
int machine_end_call(struct machine *m);

/* Bytes that the request has written for the first time, in guest memory and in what
 * the host keeps for it: max_request_memory is for both. */
uint64_t machine_charge(const struct machine *m);

/* Has the watchdog look after the machine's vCPU. 0 or -errno. */
int machine_watch(struct machine *m, struct skerry_error *err);

/* What runs now ends at (deadline); for the thread that runs it. */
void machine_set_deadline(struct machine *m, uint64_t deadline);

/* When the program, which sleeps, has to be looked at again, on clock_now(). */
uint64_t machine_wakes_at(const struct machine *m);

/* The program sleeps no more. */
void machine_wake(struct machine *m);

/* The call that waited (waits.h) has its answer, or never will. */
void machine_answered(struct machine *m);

#define MACHINE_CLEAN_UP_NS 1000000000UL

/* A storage function has given its result: it may go on for so long to clean up. A task
 * may go on to its end: nobody waits for its result, and m->look is 0. */
void machine_clean_up(struct machine *m);

/* Looks for a result that the function has left in the exchange page, which takes no
 * call. Done so often, a function ends at most twice that time behind its result. */
void machine_look(struct machine *m, uint64_t now);

/* The exchange page, as host memory; always mapped. Not noted as written. */
struct kvm_api_exchange *machine_exchange(struct machine *m);

#endif
