/* A greeter as a C programmer writes it first: one datagram in, one out (recvfrom(2), sendto(2)).
   The first argument is the size of the receive buffer; prints the address it is bound to. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = argc > 1 ? atoi(argv[1]) : 212992;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("bind");
        return 1;
    }
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    static char frame[7 + 2048 + 1] = "Hello, ";
    for (;;) {
        struct sockaddr_in source;
        len = sizeof source;
        ssize_t got = recvfrom(fd, frame + 7, 2048, 0, (struct sockaddr *)&source, &len);
        if (got < 0)
            continue;
        frame[7 + got] = '!';
        sendto(fd, frame, got + 8, 0, (struct sockaddr *)&source, len);
    }
}
