/* home.h: the thread that requests come to: the one that has waited for them. Callbacks
 * run as it, whatever the others do. */
#ifndef SKERRY_HOME_H
#define SKERRY_HOME_H

#include "threads.h"

/* All of this does nothing on a machine without a table of threads. */

/* The thread that runs waits for requests. In storage no other one lives on. */
void home_waits(struct machine *m);

/* Tells if the thread that runs is the one that requests come to. */
int home_runs(const struct machine *m);

/* A callback is about to be entered. A thread that has answered in the place of the one
 * that requests come to goes on behind its answer, when it has its turn. 0 or -EPROTO.
 */
int home_enter(struct machine *m);

/* Something has gone wrong: no other thread is left. */
void home_alone(struct machine *m);

/* The machine is about to be frozen. 0 or -EPROTO. */
int home_freeze(struct machine *m);

#endif
