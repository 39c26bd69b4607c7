/* images.c: see images.h. */
#include "images.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What a visitor does with a page of the state. 0, or -errno to stop. */
typedef int visit(struct store *s, uint32_t page, uint32_t *count);

int images_keep(const struct layout *l, uint64_t page)
{
    uint64_t addr = page << PAGE_SHIFT;
    return addr >= PROGRAM_LOW && addr != l->leaf_tables &&
           !region_holds(l->call_stack, addr, PAGE_SIZE) &&
           !region_holds(l->inbox, addr, PAGE_SIZE);
}

static int differs(const struct store *s, uint64_t page)
{
    uint64_t at = page << PAGE_SHIFT;
    return memcmp(s->live + at, s->committed + at, PAGE_SIZE) != 0;
}

uint32_t images_compare_listed(struct store *s, const struct dirty *dirty)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < dirty->count; i++) {
        uint32_t page = dirty->pages[i];
        if (images_keep(&s->layout, page) && differs(s, page))
            s->changed[count++] = page;
    }
    return count;
}

/* Visits the pages that (fd) has: what is not there was never written, and is zero. */
static int visit_data(struct store *s, int fd, visit *f, uint32_t *count)
{
    off_t end = 0, begin;
    int ret = 0;
    while (ret == 0 && (begin = lseek(fd, end, SEEK_DATA)) >= 0) {
        end = lseek(fd, begin, SEEK_HOLE);
        for (off_t at = begin; at < end && ret == 0; at += (off_t)PAGE_SIZE)
            if (images_keep(&s->layout, (uint64_t)at >> PAGE_SHIFT))
                ret = f(s, (uint32_t)(at >> PAGE_SHIFT), count);
    }
    return ret;
}

static int list_if_changed(struct store *s, uint32_t page, uint32_t *count)
{
    if (differs(s, page))
        s->changed[(*count)++] = page;
    return 0;
}

uint32_t images_compare_all(struct store *s)
{
    uint32_t count = 0;
    visit_data(s, s->live_fd, list_if_changed, &count);
    return count;
}

static int list_if_only_committed(struct store *s, uint32_t page, uint32_t *count)
{
    off_t at = (off_t)((uint64_t)page << PAGE_SHIFT);
    return lseek(s->live_fd, at, SEEK_DATA) == at ? 0 : list_if_changed(s, page, count);
}

uint32_t images_compare_both(struct store *s)
{
    uint32_t count = 0;
    visit_data(s, s->live_fd, list_if_changed, &count);
    /* Comparing gives the live image the page: after this it would be visited twice. */
    visit_data(s, s->committed_fd, list_if_only_committed, &count);
    return count;
}

void images_copy(uint8_t *dst, const uint8_t *src, const uint32_t *pages,
                 uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = (uint64_t)pages[i] << PAGE_SHIFT;
        memcpy(dst + at, src + at, PAGE_SIZE);
    }
}

static int add_page(struct store *s, uint32_t page, uint32_t *count)
{
    (*count)++;
    return journal_page(&s->record, page, s->committed + ((uint64_t)page << PAGE_SHIFT),
                        NULL);
}

int images_record(struct store *s)
{
    uint32_t pages = 0;
    journal_begin(&s->record, 1);
    int ret = visit_data(s, s->committed_fd, add_page, &pages);
    if (ret < 0)
        return ret;
    return journal_extra(&s->record, &s->control->committed,
                         sizeof(s->control->committed));
}
