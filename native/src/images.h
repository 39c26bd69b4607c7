/* images.h: the live and the committed image of a store, page by page. The lock is
 * held. */
#ifndef SKERRY_IMAGES_H
#define SKERRY_IMAGES_H

#include "store.h"

/* Tells if page (page) is part of the state: all that a program can write to and rely
 * on. What the host makes, with the table of its pages, is not, nor scratch memory. */
int images_keep(const struct layout *l, uint64_t page);

/* Puts the pages of the state in which the images differ into s->changed, and returns
 * how many there are: of those on (dirty), or of all. */
uint32_t images_compare_listed(struct store *s, const struct dirty *dirty);
uint32_t images_compare_all(struct store *s);

/* As images_compare_all, where also the committed image may have pages that the live
 * one has not. */
uint32_t images_compare_both(struct store *s);

/* Copies (count) pages. */
void images_copy(uint8_t *dst, const uint8_t *src, const uint32_t *pages,
                 uint32_t count);

/* Makes s->record a FULL record of the committed image. 0 or -errno. */
int images_record(struct store *s);

#endif
