/* bare.c: see bare.h. */
#include "bare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "paging.h"
#include "request.h"
#include "stubs.h"

static void must(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

/* The memory of a program that has just been loaded: as boot.c makes it. */
static void fill(struct bare *b)
{
    struct guestmem *mem = &b->machine.mem;
    uint64_t size = mem->layout.slot_size;
    b->frozen.fd = memory_create("bare", size, NULL);
    must(b->frozen.fd >= 0, "memfd");
    must(memory_map(b->frozen.fd, size, MAP_LIVE, &mem->base, NULL) == 0, "map");
    paging_build(mem->base, &mem->layout);
    stubs_install(mem->base, 0);
    paging_protect(mem->base, &mem->layout, PROGRAM_LOW, LARGE_PAGE,
                   ACCESS_READ | ACCESS_EXECUTE, 0);
    request_describe(&b->machine);
    memory_unmap(mem->base, size);
}

static void clone(struct bare *b)
{
    struct machine *m = &b->machine;
    uint64_t size = m->mem.layout.slot_size;
    int fd = b->frozen.fd;
    must(memory_map(fd, size, MAP_FROZEN, &b->frozen.frozen, NULL) == 0, "map frozen");
    must(memory_map(fd, size, MAP_CLONE, &m->mem.base, NULL) == 0, "map clone");
    must(dirty_open(&m->dirty, (uint32_t)(size >> PAGE_SHIFT)) == 0, "dirty list");
    m->mem.dirty = &m->dirty;
}

void bare_open(struct bare *b, uint64_t max_memory, uint64_t shm)
{
    struct machine *m = &b->machine;
    memset(b, 0, sizeof(*b));
    must(layout_make(&m->mem.layout, max_memory, shm) == 0, "layout");
    must(!shm || skerry_shm_open(shm, &b->shm, NULL) == 0, "shared memory");
    m->mem.shm = shm ? b->shm->at : NULL;
    m->process = &b->process;
    machine_wire(m);
    space_init(&m->space, BARE_SPACE, m->mem.layout.far_tables.begin);
    files_init(&m->files, -1, OPENER_REQUEST, NULL);
    files_init(&b->frozen.files, -1, OPENER_START, NULL);
    m->facts = &b->facts;
    m->counters = &b->counters;
    m->console = skerry_console_open();
    m->vm = (struct vm){
        .kvm = &b->kvm, .fd = -1, .vcpu_fd = -1, .run = calloc(1, sizeof(*m->vm.run))};
    must(m->console && m->vm.run, "machine");
    b->facts.max_memory = b->facts.max_request_memory = max_memory;
    process_init(&b->process, PROGRAM_LOW + LARGE_PAGE, m->mem.layout.program.end);
    b->frozen.process = b->process;
    b->frozen.layout = m->mem.layout;
    must(space_copy(&b->frozen.space, &m->space) == 0, "far ranges");
    fill(b);
    clone(b);
    b->request = (struct request){.method = "GET",
                                  .method_len = 3,
                                  .url = "/",
                                  .url_len = 1,
                                  .headers = "Host: test\r\nAccept: */*\r\n",
                                  .headers_len = 25,
                                  .content_type = "",
                                  .body = ""};
    m->exchange.request = &b->request;
    m->deadline = clock_now();
}

void bare_close(struct bare *b)
{
    struct machine *m = &b->machine;
    free(m->vm.run);
    m->vm.run = NULL;
    memory_unmap(b->frozen.frozen, b->frozen.layout.slot_size);
    close(b->frozen.fd);
    machine_close(m);
    skerry_shm_close(b->shm);
}

uint64_t bare_forgotten(const struct bare *b)
{
    const struct machine *m = &b->machine;
    uint64_t forgotten = 0;
    for (uint64_t page = 0; page < m->dirty.page_total; page++) {
        uint64_t at = page * PAGE_SIZE;
        int known = m->dirty.seen[page / 64] >> page % 64 & 1;
        if (!known && memcmp(m->mem.base + at, b->frozen.frozen + at, PAGE_SIZE) != 0)
            forgotten++;
    }
    return forgotten;
}
