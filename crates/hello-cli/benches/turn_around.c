/* The least that a DNS client takes for a name server: each query comes back as its own response,
   without answers. 64 datagrams for each call (recvmmsg(2), sendmmsg(2)).
   The first argument is the size of the receive buffer; prints the address that it is bound to. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BATCH 64
#define SIZE 2048

int main(int argc, char **argv) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = argc > 1 ? atoi(argv[1]) : 212992;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("bind");
        return 1;
    }
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    static unsigned char frames[BATCH][SIZE];
    static struct sockaddr_in sources[BATCH];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];
    for (int i = 0; i < BATCH; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_iov = &parts[i], .msg_iovlen = 1};
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){frames[i], SIZE};
            messages[i].msg_hdr.msg_namelen = sizeof sources[i];
        }
        int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < got; i++) {
            frames[i][2] |= 0x80; /* QR, RFC 1035 section 4.1.1 */
            parts[i].iov_len = messages[i].msg_len;
        }
        for (int sent = 0; sent < got;) {
            int now = sendmmsg(fd, messages + sent, got - sent, 0);
            sent += now > 0 ? now : 1;
        }
    }
}
