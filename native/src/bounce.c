/* bounce.c: see bounce.h. */
#include "bounce.h"

#include <stdlib.h>
#include <string.h>

#include "far.h"

struct bounce_piece {
    struct bounce_piece *next;
    uint64_t addr, len;
    int back;
    uint8_t bytes[];
};

/* Copies between a piece and its pages, whatever access these have by now. */
static void copy(const struct guestmem *gm, struct bounce_piece *p, int back)
{
    for (uint64_t at = 0, run; at < p->len; at += run) {
        uint64_t addr = p->addr + at;
        uint64_t *entry = paging_far_entry(gm->base, &gm->layout, addr);
        uint64_t page = entry ? paging_target(*entry) : 0;
        run = PAGE_SIZE - addr % PAGE_SIZE;
        run = run < p->len - at ? run : p->len - at;
        if (!page)
            continue; /* the call has unmapped it */
        uint8_t *memory = gm->base + page + addr % PAGE_SIZE;
        memcpy(back ? memory : p->bytes + at, back ? p->bytes + at : memory, run);
        if (back)
            guest_note(gm, page, PAGE_SIZE);
    }
}

uint8_t *bounce_copy(const struct guestmem *gm, uint64_t addr, uint64_t len, int back)
{
    struct bounce *b = gm->bounce;
    if (!b || len > BOUNCE_MAX - b->bytes)
        return NULL;
    struct bounce_piece *p = malloc(sizeof(*p) + len);
    if (!p)
        return NULL;
    *p =
        (struct bounce_piece){.next = b->first, .addr = addr, .len = len, .back = back};
    copy(gm, p, 0);
    b->first = p;
    b->bytes += len;
    return p->bytes;
}

void bounce_settle(struct guestmem *gm)
{
    if (!gm->bounce)
        return;
    for (struct bounce_piece *p = gm->bounce->first; p; p = p->next)
        if (p->back) {
            copy(gm, p, 1);
            p->back = 0;
        }
}

void bounce_drop(struct guestmem *gm)
{
    if (!gm->bounce)
        return;
    while (gm->bounce->first) {
        struct bounce_piece *p = gm->bounce->first;
        gm->bounce->first = p->next;
        free(p);
    }
    gm->bounce->bytes = 0;
}
