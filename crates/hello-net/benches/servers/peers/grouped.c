/* The system calls of our server with nothing around them: 64 messages for each call, trains in (UDP_GRO), and replies
   grouped by source into trains (UDP_SEGMENT, udp(7)). It has no guard, counters, events or limit: our server's excess
   over it is their cost.
   The first argument is the size of the receive buffer; prints the address it is bound to. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif
#define BATCH 64
#define SLOT (1025 * 64) /* Room for any message and the rest of its reply, in bytes. */
#define SEGMENTS 64      /* The most datagrams of a train. */
#define LONGEST 65507    /* The longest message, in bytes. */
#define ROUTES 128       /* Twice the most sources of a batch. */
#define COPIED 128       /* The longest name of a train that is copied and not gathered, in bytes. */

struct out {
    struct sockaddr_in to;
    struct iovec parts[2 * SEGMENTS + 1];
    size_t segment, count, len;
    char control[CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8)));
};

static const char glue[] = "!Hello, ";
static char slots[BATCH][SLOT], copies[BATCH * SEGMENTS * (COPIED + 8)];
static struct sockaddr_in sources[BATCH];
static struct out outs[BATCH];
static struct mmsghdr in[BATCH], headers[BATCH];
static int fd, count, latest[ROUTES]; /* By a hash of the source: the last message to it, counted from 1. */
static size_t used;

/* Sends the messages, and forgets them. */
static void send_all(void) {
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &headers[i].msg_hdr;
        header->msg_control = outs[i].count > 1 ? outs[i].control : NULL;
        header->msg_controllen = outs[i].count > 1 ? sizeof outs[i].control : 0;
        *(uint16_t *)CMSG_DATA((struct cmsghdr *)outs[i].control) = outs[i].segment;
    }
    for (int sent = 0; sent < count;) {
        int now = sendmmsg(fd, headers + sent, count - sent, MSG_DONTWAIT);
        sent += now > 0 ? now : 1;
    }
    memset(latest, 0, sizeof latest);
    count = used = 0;
}

/* Returns a message to this source with room for a reply of this length: the last, or a new one. */
static int message_to(const struct sockaddr_in *to, size_t len) {
    unsigned entry = (ntohl(to->sin_addr.s_addr) ^ ntohs(to->sin_port)) % ROUTES;
    for (; latest[entry]; entry = (entry + 1) % ROUTES) {
        struct out *out = &outs[latest[entry] - 1];
        if (out->to.sin_port != to->sin_port || out->to.sin_addr.s_addr != to->sin_addr.s_addr)
            continue;
        if (out->len != out->segment * out->count || len > out->segment || out->count == SEGMENTS || out->len + len > LONGEST)
            break;
        return latest[entry] - 1;
    }
    if (count == BATCH) {
        send_all();
        return message_to(to, len);
    }
    outs[count].to = *to;
    outs[count].segment = len;
    outs[count].count = outs[count].len = headers[count].msg_hdr.msg_iovlen = 0;
    latest[entry] = ++count;
    return count - 1;
}

/* Adds bytes to a message, to its last part if they follow it in memory. */
static void append(int message, const void *bytes, size_t len) {
    struct iovec *parts = outs[message].parts;
    size_t *n = &headers[message].msg_hdr.msg_iovlen;
    if (*n && (char *)parts[*n - 1].iov_base + parts[*n - 1].iov_len == bytes)
        parts[*n - 1].iov_len += len;
    else
        parts[(*n)++] = (struct iovec){(void *)bytes, len};
    outs[message].len += len;
}

/* Replies to one datagram: in place if it came alone. */
static void answer(const struct sockaddr_in *source, char *name, size_t len, int alone) {
    int message = message_to(source, len + 8);
    if (!alone && len > COPIED) {
        append(message, glue + 1, 7);
        append(message, name, len);
        append(message, glue, 1);
    } else {
        char *reply = alone ? name - 7 : copies + used;
        memcpy(reply, glue + 1, 7);
        if (!alone)
            memcpy(reply + 7, name, len);
        reply[7 + len] = '!';
        append(message, reply, len + 8);
        used += alone ? 0 : len + 8;
    }
    outs[message].count++;
}

int main(int argc, char **argv) {
    int buffer = argc > 1 ? atoi(argv[1]) : 212992, on = 1, whole = IP_PMTUDISC_PROBE;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    /* As our server on the loopback. */
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof whole);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("bind");
        return 1;
    }
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    static struct iovec requests[BATCH];
    static char controls[BATCH][CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    for (int i = 0; i < BATCH; i++) {
        requests[i] = (struct iovec){slots[i] + 7, SLOT - 8};
        in[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_iov = &requests[i], .msg_iovlen = 1};
        headers[i].msg_hdr = (struct msghdr){.msg_name = &outs[i].to, .msg_namelen = sizeof outs[i].to, .msg_iov = outs[i].parts};
        *(struct cmsghdr *)outs[i].control =
            (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT};
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            in[i].msg_hdr.msg_namelen = sizeof sources[i];
            in[i].msg_hdr.msg_control = controls[i];
            in[i].msg_hdr.msg_controllen = sizeof controls[i];
        }
        int got = recvmmsg(fd, in, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < got; i++) {
            struct cmsghdr *control = CMSG_FIRSTHDR(&in[i].msg_hdr);
            size_t total = in[i].msg_len, segment = control ? *(unsigned *)CMSG_DATA(control) : total;
            if (total <= segment)
                answer(&sources[i], slots[i] + 7, total, 1);
            for (size_t at = 0; segment < total && at < total; at += segment)
                answer(&sources[i], slots[i] + 7 + at, total - at < segment ? total - at : segment, 0);
        }
        send_all();
    }
}
