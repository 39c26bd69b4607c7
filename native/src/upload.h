/* upload.h: a request whose body goes to the program piece by piece (stream_post). */
#ifndef SKERRY_UPLOAD_H
#define SKERRY_UPLOAD_H

#include "serve.h"

/* Tells if the program takes bodies that way: a request callback wins. */
int upload_wanted(const struct program_facts *facts);

/* Serves a request whose body has arrived: it is one piece, and no more follow. */
void upload_serve(struct skerry_vm *vm, uint64_t pause, struct skerry_reply *reply);

/* The program has returned from a piece. 0: it waits for the next one; 1: that was all,
 * and what answers is prepared; or -EPROTO with the reason. */
int upload_taken(struct skerry_vm *vm);

#endif
