/* The kernel's share of a request: sends datagrams to a socket of its own over the loopback, and receives
   them, in one process. Prints the median time of a datagram each way, in nanoseconds: first in batches of 64
   (sendmmsg(2), recvmmsg(2)) with and without timestamps, then with one call for each (send(2), recv(2)). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64
#define ROUNDS 20000
#define SIZE 16

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, int batched, int stamped) {
    int to = socket(AF_INET, SOCK_DGRAM, 0), from = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int buffer = 1 << 20, probe = IP_PMTUDISC_PROBE;
    setsockopt(to, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(to, SOL_SOCKET, SO_TIMESTAMPNS, &stamped, sizeof stamped);
    setsockopt(from, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
    if (bind(to, (struct sockaddr *)&address, len) || getsockname(to, (struct sockaddr *)&address, &len)
        || connect(from, (struct sockaddr *)&address, len)) {
        perror("bind");
        exit(1);
    }
    static struct mmsghdr out[BATCH], in[BATCH];
    static struct iovec parts[BATCH], spaces[BATCH];
    static char name_[SIZE], space[BATCH][2048], control[BATCH][64];
    static double sent[ROUNDS], received[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){name_, SIZE}, spaces[i] = (struct iovec){space[i], sizeof space[i]};
            out[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
            in[i].msg_hdr = (struct msghdr){.msg_iov = &spaces[i], .msg_iovlen = 1};
            in[i].msg_hdr.msg_control = control[i], in[i].msg_hdr.msg_controllen = sizeof control[i];
        }
        int count = 0;
        double start = now();
        if (batched)
            sendmmsg(from, out, BATCH, MSG_DONTWAIT);
        else
            for (int i = 0; i < BATCH; i++)
                send(from, name_, SIZE, MSG_DONTWAIT);
        double middle = now();
        if (batched)
            count = recvmmsg(to, in, BATCH, MSG_DONTWAIT, NULL);
        else
            while (count < BATCH && recv(to, space[0], sizeof space[0], MSG_DONTWAIT) == SIZE)
                count++;
        received[round] = (now() - middle) / BATCH, sent[round] = (middle - start) / BATCH;
        if (count != BATCH) {
            fprintf(stderr, "%d of %d were received\n", count, BATCH);
            exit(1);
        }
    }
    qsort(sent, ROUNDS, sizeof *sent, compare);
    qsort(received, ROUNDS, sizeof *received, compare);
    printf("%s: send %.0f, receive %.0f\n", name, sent[ROUNDS / 2], received[ROUNDS / 2]);
}

int main(void) {
    measure("batches of 64", 1, 0);
    measure("batches of 64, timestamps", 1, 1);
    measure("one call each", 0, 0);
}
