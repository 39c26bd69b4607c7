/* connector.h: asks for a connection. A process that runs guests makes none: it asks
 * who connects to other hosts (host/skerry/connector.py), and who knows where each
 * program may go.
 *
 * An ask is one message on a socket, with one end of a fresh socket pair. On that comes
 * the answer: the connection, once there is one, or why there is none. To close the
 * other end is to give up. */
#ifndef SKERRY_CONNECTOR_H
#define SKERRY_CONNECTOR_H

#include <stdint.h>

/* As the connector gets it. */
struct connector_ask {
    char program[64]; /* its name, with zeros behind */
    uint16_t family;  /* AF_INET or AF_INET6 */
    uint16_t port;
    uint8_t address[16]; /* the first four of AF_INET */
};

/* Asks without waiting. Returns the descriptor on which the answer will come, the
 * caller's; -ENETUNREACH when nobody is there; or -errno. */
int connector_ask(const struct connector_ask *ask);

/* Looks at (from), which connector_ask returned. 0: (*fd) is a connection, the
 * caller's; -EAGAIN: not yet; or -errno of connect(), -EACCES: it is not allowed. */
int connector_answer(int from, int *fd);

#endif
