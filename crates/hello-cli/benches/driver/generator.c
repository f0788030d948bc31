// Sends requests at a fixed rate from 256 source ports in turn, receives what comes back, and measures
// how much of the whole machine's time that took.
//
// usage: generator ADDRESS PORT RATE SECONDS
//
// One thread on each processor, of the scheduling class SCHED_IDLE, reads the clock as often as it can.
// Each gap between two readings is time that something else had: processes, interrupts, the host.
// Unlike the counters of the kernel, that misses no interrupt and has no ticks; and as only the length
// of gaps counts, it does not matter how fast the threads run.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOURCES = 256, MAX_PROCESSORS = 256, SECOND = 1000000000, TICK = 1000000 };
enum { GAP = 500 }; // nanoseconds: many times a reading, and less than any process needs

static uint64_t begins, ends; // the span that is measured
static uint64_t taken[MAX_PROCESSORS];

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static void wait_until(uint64_t time)
{
	struct timespec at = {time / SECOND, time % SECOND};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void pin(long processor)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		err(1, "sched_setaffinity");
}

static void *watch(void *processor)
{
	pin((long)processor);
	if (sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}))
		err(1, "sched_setscheduler");
	wait_until(begins);
	uint64_t sum = 0, last = begins;
	while (last < ends) {
		uint64_t time = now();
		if (time - last > GAP)
			sum += (time < ends ? time : ends) - last;
		last = time;
	}
	taken[(long)processor] = sum;
	return NULL;
}

static int sockets[SOURCES];
static uint64_t received;

static void drain(int socket)
{
	char reply[64];
	while (recv(socket, reply, sizeof reply, MSG_DONTWAIT) > 0)
		received++;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		errx(2, "usage: generator ADDRESS PORT RATE SECONDS");
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
	if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
		errx(2, "%s is no IPv4 address", argv[1]);
	double rate = atof(argv[3]);
	uint64_t span = atof(argv[4]) * SECOND, warm_up = span / 4;

	for (int i = 0; i < SOURCES; i++) {
		sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (sockets[i] < 0 || connect(sockets[i], (struct sockaddr *)&server, sizeof server))
			err(1, "%s", argv[1]);
	}
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[MAX_PROCESSORS];
	uint64_t first = now() + 10 * TICK;
	begins = first + warm_up;
	ends = begins + span;
	for (long i = 0; i < processors; i++)
		if (pthread_create(&threads[i], NULL, watch, (void *)i))
			errx(1, "pthread_create");

	pin(processors - 1);
	prctl(PR_SET_TIMERSLACK, 1);
	uint64_t sent = 0, sent_before = 0;
	for (uint64_t time = first; time < ends; time += TICK) {
		wait_until(time);
		if (!sent_before && time >= begins)
			sent_before = sent;
		uint64_t due = (time - first) * 1e-9 * rate;
		for (; sent < due; sent++) {
			// The last reply to this source has long been here.
			int socket = sockets[sent % SOURCES];
			char reply[64];
			if (sent >= SOURCES && recv(socket, reply, sizeof reply, MSG_DONTWAIT) > 0)
				received++;
			if (send(socket, "abcdefgh", 8, 0) != 8)
				err(1, "send");
		}
	}
	for (long i = 0; i < processors; i++)
		pthread_join(threads[i], NULL);
	wait_until(now() + 50 * TICK);
	for (int i = 0; i < SOURCES; i++)
		drain(sockets[i]);

	uint64_t sum = 0;
	for (long i = 0; i < processors; i++)
		sum += taken[i];
	printf("{\"sent\": %lu, \"received\": %lu, \"measured\": %lu, \"busy_ns\": %lu}\n", sent, received,
	       sent - sent_before, sum);
}
