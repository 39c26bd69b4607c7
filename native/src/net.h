/* net.h: the connections of a machine to other hosts: the descriptors behind those of
 * its sockets (objects.h) that are connected, or about to be.
 *
 * They are the machine's own, and never a snapshot's. All are in one set of epoll with
 * edges, so that there is one descriptor to wait for, whatever the program waits for:
 * when that tells of something, the call that waits is made again, and looks itself. */
#ifndef SKERRY_NET_H
#define SKERRY_NET_H

#include "connector.h"
#include "descriptors.h"

#define NET_MAX 16        /* connections of a machine */
#define NET_TOTAL_MAX 128 /* of all machines of a program in a process */

enum net_state {
    NET_NONE,
    NET_ASKED, /* its descriptor is where the answer comes */
    NET_MADE,  /* connected, which connect() has not told yet */
    NET_OPEN,
    NET_FAILED /* there is no descriptor */
};

struct connection {
    uint8_t state;
    int fd;
    int error;         /* an errno that has not been told, or 0 */
    uint32_t wakes[2]; /* how often it may have become readable, and writable */
    struct connector_ask to;
};

struct net {
    int epoll;                         /* readable when one has woken since net_look */
    int news;                          /* net_look has found something since net_news */
    uint32_t count;                    /* of those that are not NET_NONE */
    uint32_t *total;                   /* of all machines of the program */
    struct connection at[DESCRIPTORS]; /* of object number 1 is at[0] */
};

/* Asks for connection (number) to (to). (*net), which begins NULL, is made when it is
 * the first; (total) is counted in. 0, or -errno: -ENOBUFS, there are too many. */
int net_begin(struct net **net, uint32_t *total, int number,
              const struct connector_ask *to);

/* Connection (number), or NULL; (net) may be NULL. */
struct connection *net_find(struct net *net, int number);

/* Takes the answer for a connection that is NET_ASKED, if it has come. */
void net_settle(struct net *net, struct connection *one);

/* Ends it: there is none of this number any more. */
void net_end(struct net *net, int number);

/* Notes which connections have woken. */
void net_look(struct net *net);

/* Tells if any has woken since this was last asked. */
int net_news(struct net *net);

/* Waits until one may have woken, until (until) at most, or until a signal comes. */
void net_wait(const struct net *net, uint64_t until);

/* Ends all. (*net) is NULL then, and may have been. */
void net_close(struct net **net);

#endif
