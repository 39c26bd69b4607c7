/* ranges.c: see ranges.h. An AVL tree: two subtrees differ by at most one in height, so
 * 65,000 ranges are 23 deep at most, and the functions that call themselves end soon.
 */
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16

void ranges_close(struct ranges *r)
{
    free(r->node);
    *r = (struct ranges){0};
}

static int grow(struct ranges *r, uint32_t nodes)
{
    uint32_t capacity = r->capacity ? r->capacity : FIRST_CAPACITY;
    while (capacity < nodes)
        capacity *= 2;
    if (capacity == r->capacity)
        return 0;
    struct range_node *node = realloc(r->node, capacity * sizeof(*node));
    if (!node)
        return -ENOMEM;
    if (!r->node)
        memset(node, 0, sizeof(*node));
    r->node = node;
    r->capacity = capacity;
    return 0;
}

int ranges_reserve(struct ranges *r, uint32_t more)
{
    return grow(r, 1 + r->used + more);
}

int ranges_copy(struct ranges *to, const struct ranges *from)
{
    if (from->root && grow(to, 1 + from->used) < 0)
        return -ENOMEM;
    struct range_node *node = to->node;
    uint32_t capacity = to->capacity;
    *to = *from;
    to->node = node;
    to->capacity = capacity;
    if (from->root)
        memcpy(node, from->node, (1 + from->used) * sizeof(*node));
    else
        to->used = to->unused = 0;
    return 0;
}

const struct far_range *ranges_after(const struct ranges *r, uint64_t addr)
{
    const struct far_range *found = NULL;
    for (uint32_t i = r->root; i;) {
        const struct range_node *n = &r->node[i];
        if (n->range.end > addr)
            found = &n->range;
        i = n->range.end > addr ? n->left : n->right;
    }
    return found;
}

/* --- The tree: functions take the number of a subtree's node, and return it anew ---
 */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Says of node (i) what follows from its subtrees. */
static uint32_t update(struct ranges *r, uint32_t i)
{
    struct range_node *n = &r->node[i];
    const struct range_node *left = &r->node[n->left], *right = &r->node[n->right];
    n->height = 1 + (left->height > right->height ? left->height : right->height);
    n->low = n->left ? left->low : n->range.begin;
    n->high = n->right ? right->high : n->range.end;
    n->gap = larger(left->gap, right->gap);
    if (n->left)
        n->gap = larger(n->gap, n->range.begin - left->high);
    if (n->right)
        n->gap = larger(n->gap, right->low - n->range.end);
    return i;
}

static uint32_t turn_right(struct ranges *r, uint32_t i)
{
    uint32_t up = r->node[i].left;
    r->node[i].left = r->node[up].right;
    r->node[up].right = update(r, i);
    return update(r, up);
}

static uint32_t turn_left(struct ranges *r, uint32_t i)
{
    uint32_t up = r->node[i].right;
    r->node[i].right = r->node[up].left;
    r->node[up].left = update(r, i);
    return update(r, up);
}

/* By how much the left side of (i) is higher. */
static int lean(const struct ranges *r, uint32_t i)
{
    const struct range_node *n = &r->node[i];
    return (int)r->node[n->left].height - (int)r->node[n->right].height;
}

static uint32_t balance(struct ranges *r, uint32_t i)
{
    struct range_node *n = &r->node[i];
    if (lean(r, i) > 1) {
        if (lean(r, n->left) < 0)
            n->left = turn_left(r, n->left);
        return turn_right(r, i);
    }
    if (lean(r, i) < -1) {
        if (lean(r, n->right) > 0)
            n->right = turn_right(r, n->right);
        return turn_left(r, i);
    }
    return update(r, i);
}

static uint32_t add(struct ranges *r, uint32_t i, uint32_t new)
{
    struct range_node *n = &r->node[i];
    if (!i)
        return new;
    if (r->node[new].range.begin < n->range.begin)
        n->left = add(r, n->left, new);
    else
        n->right = add(r, n->right, new);
    return balance(r, i);
}

void ranges_add(struct ranges *r, struct far_range range)
{
    uint32_t i = r->unused;
    if (i)
        r->unused = r->node[i].left;
    else
        i = ++r->used;
    r->node[i] = (struct range_node){.range = range};
    update(r, i);
    r->root = add(r, r->root, i);
    r->count++;
}

/* Takes the first node out of subtree (i). */
static uint32_t take_first(struct ranges *r, uint32_t i, uint32_t *first)
{
    struct range_node *n = &r->node[i];
    if (!n->left) {
        *first = i;
        return n->right;
    }
    n->left = take_first(r, n->left, first);
    return balance(r, i);
}

static uint32_t without(struct ranges *r, uint32_t i)
{
    const struct range_node *n = &r->node[i];
    if (!n->left || !n->right)
        return n->left ? n->left : n->right;
    uint32_t next, right = take_first(r, n->right, &next);
    r->node[next].left = n->left;
    r->node[next].right = right;
    return balance(r, next);
}

static uint32_t remove_from(struct ranges *r, uint32_t i, uint64_t begin,
                            uint32_t *gone)
{
    struct range_node *n = &r->node[i];
    if (n->range.begin == begin) {
        *gone = i;
        return without(r, i);
    }
    if (begin < n->range.begin)
        n->left = remove_from(r, n->left, begin, gone);
    else
        n->right = remove_from(r, n->right, begin, gone);
    return balance(r, i);
}

void ranges_remove(struct ranges *r, uint64_t begin)
{
    uint32_t gone = 0;
    r->root = remove_from(r, r->root, begin, &gone);
    r->node[gone].left = r->unused;
    r->unused = gone;
    r->count--;
}

/* --- Gaps --- */

struct search {
    const struct ranges *r;
    uint64_t len, align, enough; /* bytes: any gap with (enough) has room */
};

/* In [begin, end), where subtree (i) is and nothing else. One that has a gap with
 * enough bytes has a result, so nothing is looked through in vain. */
static uint64_t search(const struct search *s, uint32_t i, uint64_t begin, uint64_t end)
{
    if (!i)
        return end - begin >= s->enough ? (end - s->len) & ~(s->align - 1) : 0;
    const struct range_node *n = &s->r->node[i];
    if (larger(n->gap, larger(n->low - begin, end - n->high)) < s->enough)
        return 0;
    uint64_t at = search(s, n->right, n->range.end, end);
    return at ? at : search(s, n->left, begin, n->range.begin);
}

uint64_t ranges_gap(const struct ranges *r, struct region whole, uint64_t len,
                    uint64_t align)
{
    struct search s = {.r = r, .len = len, .align = align};
    if (__builtin_add_overflow(len, align - PAGE_SIZE, &s.enough))
        return 0;
    return search(&s, r->root, whole.begin, whole.end);
}
