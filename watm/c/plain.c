// The transport that passes bytes as they are, in C: every role, and an example to start from.
//
// The host makes one instance of this module for each connection, calls init, a role, the control pipe and start, in
// that order, and drops the instance when start has returned. Both connections are fds, and wasi-libc makes ordinary
// ones of them: read, write, poll, shutdown. Static memory costs nothing until it is used, and then it is memory per
// connection.
//
// It must be built as a reactor, with -mexec-model=reactor (see ../languages.sh): the host calls _initialize, which
// starts the libc, and there is no main. Error numbers of wasi-libc are WASI's own, which is what exports return,
// negated.
//
// Configuration: none, or for the roles in which the module knows where to, a network and an address ("tcp
// 192.0.2.1:443"). That text is the whole file; a real transport reads JSON.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

// What the host offers beside WASI. Each returns an fd, or an error number, negated.
IMPORT(water_dial_fixed) int water_dial_fixed(void);
IMPORT(water_accept) int water_accept(void);
IMPORT(water_dial)
int water_dial(const struct iovec *network, int networks, const struct iovec *address, int addresses);

// One read; less would be served from a buffer of the host.
#define CHUNK (64 << 10)
// Reads of one direction before the other has its turn.
#define TURN 16

// One direction.
struct flow {
    int from, to;
    bool open;
    // What was read and not taken yet; only on hosts whose writes can be cut short.
    size_t start, end;
    char bytes[CHUNK];
};

static struct flow up, down;
static int control = -1;
// The configuration; longer names are refused by hosts anyway.
static char where[512];

EXPORT(watm_init_v1) int watm_init(void) {
    int file = open("/conf/watm.cfg", O_RDONLY);
    if (file < 0) {
        return 0; // No file, no configuration.
    }
    ssize_t n = read(file, where, sizeof where - 1);
    int failed = n < 0 ? errno : 0;
    close(file);
    return -failed;
}

// Takes both ends, or passes on the error that the second one is.
static int join(int inner, int outer) {
    if (outer < 0) {
        return outer;
    }
    up.from = down.to = inner;
    up.to = down.from = outer;
    up.open = down.open = true;
    return outer;
}

// Asks the host for a connection to where the configuration says; the operator decides whether it may go there.
static int dial_where(void) {
    size_t length = strcspn(where, "\r\n");
    char *blank = memchr(where, ' ', length);
    if (!blank) {
        return -EINVAL;
    }
    size_t network = (size_t)(blank - where);
    struct iovec texts[] = {{where, network}, {blank + 1, length - network - 1}};
    return water_dial(&texts[0], 1, &texts[1], 1);
}

// The application's connection comes in, and the host knows where to go. A handshake belongs here and into the other
// roles, while the fds still block: the transport counts as up when they return.
EXPORT(watm_dial_v1) int watm_dial(int inner) {
    return join(inner, water_dial_fixed());
}

// The same, and the configuration knows where to go.
EXPORT(watm_dial_fixed_v1) int watm_dial_fixed(int inner) {
    return join(inner, dial_where());
}

// A connection came in from the network.
EXPORT(watm_accept_v1) int watm_accept(int inner) {
    return join(inner, water_accept());
}

// Takes a connection and dials on. It answers 0, as both connections are the module's.
EXPORT(watm_associate_v1) int watm_associate(void) {
    int incoming = water_accept();
    if (incoming < 0) {
        return incoming;
    }
    int outer = join(incoming, where[0] ? dial_where() : water_dial_fixed());
    return outer < 0 ? outer : 0;
}

EXPORT(watm_ctrlpipe_v1) int watm_ctrlpipe(int fd) {
    control = fd;
    return 0;
}

// Writes what was read. 0, an error, or EAGAIN: the rest waits, and nothing more is read before it is gone.
static int send_held(struct flow *flow) {
    while (flow->start < flow->end) {
        ssize_t n = write(flow->to, flow->bytes + flow->start, flow->end - flow->start);
        if (n < 0) {
            return errno;
        }
        flow->start += (size_t)n;
    }
    return 0;
}

// Moves what one direction has, within its turn. 0, or an error.
static int turn(struct flow *flow) {
    for (int reads = 0; flow->open; reads++) {
        int failed = send_held(flow);
        if (failed || reads == TURN) {
            return failed == EAGAIN ? 0 : failed;
        }
        ssize_t n = read(flow->from, flow->bytes, CHUNK);
        if (n < 0) {
            return errno == EAGAIN ? 0 : errno;
        }
        flow->start = 0;
        flow->end = (size_t)n;
        if (n == 0) {
            // This direction has ended, and the other one goes on. Where the peer is gone already, its reads will tell.
            flow->open = false;
            return shutdown(flow->to, SHUT_WR) < 0 && errno != ENOTCONN ? errno : 0;
        }
    }
    return 0;
}

// What a direction waits for: reading alone, because asking for both would wake it for nothing.
static struct pollfd wanted(const struct flow *flow) {
    if (!flow->open) {
        return (struct pollfd){.fd = -1};
    }
    if (flow->start < flow->end) {
        return (struct pollfd){.fd = flow->to, .events = POLLOUT};
    }
    return (struct pollfd){.fd = flow->from, .events = POLLIN};
}

static int pump(void) {
    int fds[] = {up.from, up.to, control};
    for (int n = 0; n < 3; n++) {
        if (fcntl(fds[n], F_SETFL, O_NONBLOCK) < 0) {
            return errno;
        }
    }
    while (up.open || down.open) {
        struct pollfd ready[] = {wanted(&up), wanted(&down), {.fd = control, .events = POLLIN}};
        if (poll(ready, 3, -1) < 0) {
            return errno;
        }
        // Any byte, and the end, mean the same: the host cancels.
        char byte;
        if (ready[2].revents && (read(control, &byte, 1) >= 0 || errno != EAGAIN)) {
            return ECANCELED;
        }
        // Whatever poll has said: a read that has nothing answers EAGAIN.
        int failed = turn(&up);
        if (!failed) {
            failed = turn(&down);
        }
        if (failed) {
            return failed;
        }
    }
    return 0;
}

// Moves bytes until both directions have ended, one of them has failed, or the host cancels.
EXPORT(watm_start_v1) int watm_start(void) {
    if (control < 0 || !up.open) {
        return -ENOTCONN;
    }
    return -pump();
}
