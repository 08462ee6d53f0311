// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * load: clients of a service of echo.c, all in one process: long-lived connections with a steady question and answer,
 * short ones at a steady rate, and flows of datagrams. Nothing that goes wrong is swallowed.
 *
 * Standard output: a JSON object for each 100 ms, and one with "event" for each connection that breaks or fails.
 * Standard input: lines "fill" (establish what is missing of the long-lived connections), "list" (them, with their
 * backends), "churn N" (ends so many of them as their users would, and makes them anew), "pause" and "go on" (the
 * datagrams), "quit"; its end ends the process, as does the time given by -T.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define REPORT_MS     100
#define ANSWERLESS_MS 500
#define MAX_FILES     65536

struct options options = {
	.connections = 3000,
	.period_ms = 200,
	.per_second = 200,
	.flows = 24,
	.udp_period_ms = 4,
	.percent6 = 20,
	.deadline_ms = 10000,
	.short_deadline_ms = 5000,
	.seconds = 3600,
};
struct counts counts;
double now_ms;
static int epoll;
bool paused;
static bool quitting;

static void usage(void)
{
	puts("usage: load -4 VIP | -6 VIP  -p TCP_PORT -u UDP_PORT [options]\n"
	     "  -c N     long-lived connections (3000)       -i MS    between their questions (200)\n"
	     "  -r N     short connections a second (200)    -f N     flows of datagrams (24)\n"
	     "  -d MS    between datagrams of a flow (4)     -x N     percent of all by IPv6, with both VIPs (20)\n"
	     "  -s ADDR  own address to use; again and again -D MS    a question's deadline (10000)\n"
	     "  -N MS    a short connection's (5000)         -T S     ends after so many seconds (3600)");
}

double clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec * 1e-6;
}

void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

void watch(int fd, uint64_t data)
{
	struct epoll_event event = {.data.u64 = data};

	/* A connect in progress tells by becoming writable, once: then only what comes in matters. */
	event.events = data >> 32 <= ABOUT_SHORT ? EPOLLIN | EPOLLOUT | EPOLLET : EPOLLIN;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

bool is6(int index)
{
	if (options.has[0] && options.has[1])
		return (index * 37) % 100 < options.percent6;
	return options.has[1];
}

/* The port is chosen when it is known whom to: a port of another connection's may be had again. */
int open_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0)
		die("socket");
	if (type == SOCK_STREAM) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
	}
	return fd;
}

const char *address_text(const union address *address)
{
	static char text[INET6_ADDRSTRLEN];
	bool six = address->any.sa_family == AF_INET6;

	return inet_ntop(address->any.sa_family, six ? (void *)&address->v6.sin6_addr : (void *)&address->v4.sin_addr,
			 text, sizeof(text));
}

static union address parse(const char *text)
{
	union address address = {0};

	if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
		address.any.sa_family = AF_INET;
	} else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
		address.any.sa_family = AF_INET6;
	} else {
		errno = EINVAL;
		die(text);
	}
	return address;
}

static void report(void)
{
	tcp_note_waits();
	udp_note_gaps();
	printf("{\"at\":%.1f,\"alive\":%d,\"waiting\":%d,\"answers\":%lu,\"broken\":%lu,\"longestWaitMs\":%.1f,"
	       "\"tried\":%lu,\"done\":%lu,\"failed\":%lu,\"underWay\":%d,\"slow\":%lu,\"longestConnectMs\":%.1f,"
	       "\"sent\":%lu,\"answered\":%lu,\"lost\":%lu,\"late\":%lu,\"duplicates\":%lu,\"moved\":%lu,\"errors\":%"
	       "lu,"
	       "\"longestGapMs\":%.1f,\"ownDelayMs\":%.1f}\n",
	       clock_ms(), tcp_alive(), tcp_waiting(ANSWERLESS_MS), counts.answers, counts.broken,
	       counts.longest_wait_ms, counts.tried, counts.done, counts.failed, tcp_under_way(), counts.slow,
	       counts.longest_connect_ms, counts.sent, counts.answered, counts.lost, counts.late, counts.duplicates,
	       counts.moved, counts.errors, counts.longest_gap_ms, counts.late_ms);
	fflush(stdout);
	counts.longest_wait_ms = counts.longest_connect_ms = counts.longest_gap_ms = counts.late_ms = 0;
}

static void obey(const char *line)
{
	if (!strcmp(line, "fill"))
		tcp_fill();
	else if (!strncmp(line, "churn ", 6))
		tcp_churn(atoi(line + 6));
	else if (!strcmp(line, "list"))
		tcp_list();
	else if (!strcmp(line, "pause"))
		paused = true;
	else if (!strcmp(line, "quit"))
		quitting = true;
	else
		fprintf(stderr, "load: no command '%s'\n", line);
	fflush(stdout);
}

static void control(void)
{
	static char text[256];
	static size_t have;
	ssize_t n = read(STDIN_FILENO, text + have, sizeof(text) - 1 - have);
	char *end;

	if (n <= 0) {
		quitting = true;
		return;
	}
	have += n;
	text[have] = 0;
	while ((end = strchr(text, '\n'))) {
		*end = 0;
		obey(text);
		have -= end + 1 - text;
		memmove(text, end + 1, have + 1);
	}
	if (have == sizeof(text) - 1) {
		errno = EMSGSIZE;
		die("a command");
	}
}

static void dispatch(uint64_t data)
{
	switch (data >> 32) {
	case ABOUT_LONG:
	case ABOUT_SHORT:
		tcp_event(data >> 32 == ABOUT_SHORT, (uint32_t)data);
		break;
	case ABOUT_FLOW:
		udp_event((uint32_t)data);
		break;
	default:
		control();
	}
}

static void run(void)
{
	struct epoll_event events[512];
	double start_ms = clock_ms();
	uint64_t tick = 0;

	while (!quitting && tick < (uint64_t)options.seconds * 1000) {
		int n = epoll_wait(epoll, events, 512, 1);

		now_ms = clock_ms();
		for (int i = 0; i < n; i++)
			dispatch(events[i].data.u64);
		now_ms = clock_ms();
		if (now_ms - start_ms - tick > counts.late_ms)
			counts.late_ms = now_ms - start_ms - tick;
		/* What was missed is made up for, but not all at once. */
		for (int i = 0; i < 4 && start_ms + tick <= now_ms; i++, tick++) {
			tcp_tick(tick);
			udp_tick(tick);
			if (tick % REPORT_MS == REPORT_MS - 1)
				report();
		}
	}
	report();
}

static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || end == text || n < 0 || n > 1000000) {
		errno = EINVAL;
		die(text);
	}
	return n;
}

static void take_source(const char *text)
{
	union address address = parse(text);
	bool six = address.any.sa_family == AF_INET6;

	if (options.sources[six] == MAX_SOURCES) {
		errno = E2BIG;
		die("-s");
	}
	options.source[six][options.sources[six]++] = address;
}

int main(int argc, char **argv)
{
	struct rlimit files = {MAX_FILES, MAX_FILES};
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = ABOUT(ABOUT_CONTROL, 0)};
	int c;

	while ((c = getopt(argc, argv, "4:6:p:u:c:i:r:f:d:x:s:D:N:T:h")) != -1) {
		int *numbers[] = {
			['p'] = &options.tcp_port,	    ['u'] = &options.udp_port,	 ['c'] = &options.connections,
			['i'] = &options.period_ms,	    ['r'] = &options.per_second, ['f'] = &options.flows,
			['d'] = &options.udp_period_ms,	    ['x'] = &options.percent6,	 ['D'] = &options.deadline_ms,
			['N'] = &options.short_deadline_ms, ['T'] = &options.seconds};

		if (c == '4' || c == '6') {
			options.target[c == '6'] = parse(optarg);
			options.has[c == '6'] = true;
		} else if (c == 's') {
			take_source(optarg);
		} else if (c == 'h' || c == '?') {
			usage();
			return c == 'h' ? 0 : 2;
		} else {
			*numbers[c] = number(optarg);
		}
	}
	if (optind < argc || !(options.has[0] || options.has[1]) || !options.tcp_port || !options.period_ms ||
	    !options.udp_period_ms) {
		usage();
		return 2;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	epoll = epoll_create1(0);
	now_ms = clock_ms();
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event))
		die("standard input");
	tcp_start();
	udp_start();
	tcp_fill();
	run();
	return 0;
}
