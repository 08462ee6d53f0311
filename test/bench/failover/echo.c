// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * echo: answers each question, by TCP on every address and by UDP on those named, with itself and this backend's name.
 * A question that is cut off ends its connection. Prints "ready" when it listens; ends with its standard input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define MAX_FDS 65536

enum kind { NONE, LISTENER, STREAM, DATAGRAM, CONTROL };

struct peer {
	enum kind kind;
	unsigned int have;
	struct question question;
};

static struct peer peers[MAX_FDS];
static char name[NAME_SIZE];
static int epoll;

static void die(const char *what)
{
	fprintf(stderr, "echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int fd, enum kind kind)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd >= MAX_FDS || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
	peers[fd] = (struct peer){.kind = kind};
}

static void listen_stream(int port)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (void *)&address, sizeof(address)) || listen(fd, 4096))
		die("listen");
	watch(fd, LISTENER);
}

/* One socket for each address: the answer comes from the one that was asked. */
static void listen_datagrams(const char *text, int port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	int is4 = inet_pton(AF_INET, text, &four.sin_addr) == 1, room = 4 << 20, fd;

	if (!is4 && inet_pton(AF_INET6, text, &six.sin6_addr) != 1) {
		errno = EINVAL;
		die(text);
	}
	fd = socket(is4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (bind(fd, is4 ? (void *)&four : (void *)&six, is4 ? sizeof(four) : sizeof(six)))
		die(text);
	watch(fd, DATAGRAM);
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		watch(fd, STREAM);
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept");
}

static struct answer answer_to(const struct question *question)
{
	struct answer answer = {.question = *question};

	memcpy(answer.backend, name, NAME_SIZE);
	return answer;
}

static void end(int fd)
{
	peers[fd].kind = NONE;
	close(fd);
}

static void serve_stream(int fd)
{
	struct peer *peer = &peers[fd];
	ssize_t n;

	while ((n = read(fd, (char *)&peer->question + peer->have, sizeof(peer->question) - peer->have)) > 0) {
		struct answer answer;

		peer->have += n;
		if (peer->have < sizeof(peer->question))
			continue;
		peer->have = 0;
		answer = answer_to(&peer->question);
		/* Nobody has more than one question open: its answer always fits the buffer. */
		if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer)) {
			end(fd);
			return;
		}
	}
	if (n == 0 || errno != EAGAIN)
		end(fd);
}

static void serve_datagrams(int fd)
{
	struct sockaddr_storage from;
	struct question question;
	socklen_t size = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, &question, sizeof(question), 0, (void *)&from, &size)) >= 0) {
		struct answer answer = answer_to(&question);

		if (n == sizeof(question))
			sendto(fd, &answer, sizeof(answer), 0, (void *)&from, size);
		size = sizeof(from);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = {MAX_FDS, MAX_FDS};
	struct epoll_event events[256];

	if (argc < 4) {
		puts("usage: echo NAME TCP_PORT UDP_PORT [UDP_ADDRESS]...");
		return 2;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	memcpy(name, argv[1], strnlen(argv[1], NAME_SIZE));
	epoll = epoll_create1(0);
	listen_stream(atoi(argv[2]));
	for (int i = 4; i < argc; i++)
		listen_datagrams(argv[i], atoi(argv[3]));
	watch(STDIN_FILENO, CONTROL);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			char byte;

			if (peers[fd].kind == LISTENER)
				accept_all(fd);
			else if (peers[fd].kind == STREAM)
				serve_stream(fd);
			else if (peers[fd].kind == DATAGRAM)
				serve_datagrams(fd);
			else if (peers[fd].kind == CONTROL && read(fd, &byte, 1) <= 0)
				return 0;
		}
	}
}
