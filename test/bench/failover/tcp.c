// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Connections. A long-lived one asks once in each period, when the last question was answered; it is broken when it is
 * reset or closed, answered wrongly or by another backend, or not within the deadline. A short one connects, asks once,
 * and closes; it has failed when any of that does not come about. Each that breaks or fails is told by a line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define MAX_SHORT    16384
#define FILL_EACH_MS 2

enum phase { FREE, CONNECTING, ENDING, IDLE, ASKED };

struct connection {
	int fd;
	enum phase phase;
	bool six;
	uint16_t port;
	uint8_t source;
	unsigned int have;
	uint64_t number;
	double begun_ms, established_ms, asked_ms, answered_ms;
	char backend[NAME_SIZE];
	struct answer answer;
};

static struct connection *longs, shorts[MAX_SHORT];
static bool filling;
static uint32_t free_shorts[MAX_SHORT], n_free, fill_at;
static double shorts_due;

static struct connection *of(bool is_short, uint32_t index)
{
	return is_short ? &shorts[index] : &longs[index];
}

void tcp_start(void)
{
	longs = calloc(options.connections, sizeof(*longs));
	if (!longs && options.connections)
		die("memory");
	for (n_free = 0; n_free < MAX_SHORT; n_free++)
		free_shorts[n_free] = MAX_SHORT - 1 - n_free;
}

void tcp_fill(void)
{
	filling = true;
	fill_at = 0;
}

static void release(bool is_short, uint32_t index)
{
	struct connection *c = of(is_short, index);

	close(c->fd);
	c->phase = FREE;
	if (is_short)
		free_shorts[n_free++] = index;
}

static const char *source_text(const struct connection *c)
{
	return options.sources[c->six] ? address_text(&options.source[c->six][c->source]) : "";
}

/* What went wrong, for the line about it: a connection that was never established has failed, not broken. */
static void fail(bool is_short, uint32_t index, const char *why)
{
	struct connection *c = of(is_short, index);
	bool broke = !is_short && c->phase != CONNECTING;

	if (broke)
		counts.broken++;
	else
		counts.failed++;
	printf("{\"event\":\"%s\",\"at\":%.1f,\"long\":%s,\"address\":\"%s\",\"port\":%u,\"family\":%d,\"why\":\"%s\","
	       "\"phase\":\"%s\",\"backend\":\"%.8s\",\"begun\":%.1f,\"established\":%.1f,\"asked\":%.1f,"
	       "\"answered\":%.1f}\n",
	       broke ? "broken" : "failed", clock_ms(), is_short ? "false" : "true", source_text(c), c->port,
	       c->six ? 6 : 4, why,
	       c->phase == CONNECTING ? "connecting"
	       : c->phase == ENDING   ? "ending"
				      : "answer",
	       c->backend, c->begun_ms, c->established_ms, c->asked_ms, c->answered_ms);
	release(is_short, index);
}

static void fail_errno(bool is_short, uint32_t index, int error)
{
	const char *word = strerrorname_np(error);

	fail(is_short, index, word ? word : "unknown error");
}

/*
 * Ends so many of those that wait for nothing, in turn, as their user would, and makes them anew. Not by close alone: a
 * reset would free the port for the next connection at once, which no client meets in a minute of TIME_WAIT.
 */
void tcp_churn(int count)
{
	static uint32_t at;

	for (int seen = 0; seen < options.connections && count > 0; seen++) {
		at = (at + 1) % options.connections;
		if (longs[at].phase != IDLE)
			continue;
		longs[at].phase = ENDING;
		longs[at].asked_ms = now_ms;
		if (shutdown(longs[at].fd, SHUT_WR))
			fail_errno(false, at, errno);
		count--;
	}
}

static void begin(bool is_short, uint32_t index, uint64_t nth)
{
	struct connection *c = of(is_short, index);
	union address to;
	int error;

	memset(c, 0, sizeof(*c));
	c->six = is6(nth);
	c->source = options.sources[c->six] ? nth % options.sources[c->six] : 0;
	c->begun_ms = now_ms;
	c->phase = CONNECTING;
	to = options.target[c->six];
	to.v4.sin_port = htons(options.tcp_port);
	c->fd = open_socket(to.any.sa_family, SOCK_STREAM);
	if (options.sources[c->six]) {
		union address *from = &options.source[c->six][c->source];

		if (bind(c->fd, &from->any, c->six ? sizeof(from->v6) : sizeof(from->v4)))
			die("bind");
	}
	error = connect(c->fd, &to.any, c->six ? sizeof(to.v6) : sizeof(to.v4)) ? errno : 0;
	if (error && error != EINPROGRESS) {
		fail_errno(is_short, index, error);
		return;
	}
	watch(c->fd, ABOUT(is_short ? ABOUT_SHORT : ABOUT_LONG, index));
}

static void ask(bool is_short, uint32_t index)
{
	struct connection *c = of(is_short, index);
	struct question question = {.flow = (uint64_t)is_short << 32 | index, .number = ++c->number};

	c->phase = ASKED;
	c->asked_ms = now_ms;
	if (send(c->fd, &question, sizeof(question), MSG_NOSIGNAL) != sizeof(question))
		fail_errno(is_short, index, errno);
}

static void note_established(bool is_short, struct connection *c)
{
	union address self;
	socklen_t size = sizeof(self);
	struct tcp_info info = {0};

	c->established_ms = now_ms;
	c->phase = IDLE;
	if (!getsockname(c->fd, &self.any, &size))
		c->port = ntohs(self.v4.sin_port);
	if (!is_short)
		return;
	if (now_ms - c->begun_ms > counts.longest_connect_ms)
		counts.longest_connect_ms = now_ms - c->begun_ms;
	size = sizeof(info);
	if (!getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		counts.slow += info.tcpi_total_retrans > 0;
}

static void check(bool is_short, uint32_t index)
{
	struct connection *c = of(is_short, index);
	const struct answer *answer = &c->answer;

	if (c->phase != ASKED || answer->question.flow != ((uint64_t)is_short << 32 | index) ||
	    answer->question.number != c->number) {
		fail(is_short, index, "wrong answer");
		return;
	}
	if (c->backend[0] && memcmp(c->backend, answer->backend, NAME_SIZE)) {
		fail(is_short, index, "answered by another backend");
		return;
	}
	memcpy(c->backend, answer->backend, NAME_SIZE);
	c->answered_ms = now_ms;
	c->phase = IDLE;
	if (is_short) {
		counts.done++;
		release(true, index);
		return;
	}
	counts.answers++;
	if (now_ms - c->asked_ms > counts.longest_wait_ms)
		counts.longest_wait_ms = now_ms - c->asked_ms;
}

static void receive(bool is_short, uint32_t index)
{
	struct connection *c = of(is_short, index);
	ssize_t n;

	if (c->phase == ENDING) {
		while ((n = read(c->fd, &c->answer, sizeof(c->answer))) > 0)
			;
		if (n < 0 && errno != EAGAIN)
			fail_errno(false, index, errno);
		else if (n == 0)
			release(false, index);
		if (c->phase == FREE)
			tcp_fill();
		return;
	}
	while ((n = read(c->fd, (char *)&c->answer + c->have, sizeof(c->answer) - c->have)) > 0) {
		c->have += n;
		if (c->have < sizeof(c->answer))
			continue;
		c->have = 0;
		check(is_short, index);
		if (c->phase == FREE)
			return;
	}
	if (n == 0)
		fail(is_short, index, "closed");
	else if (errno != EAGAIN)
		fail_errno(is_short, index, errno);
}

void tcp_event(bool is_short, uint32_t index)
{
	struct connection *c = of(is_short, index);

	if (c->phase == FREE)
		return;
	if (c->phase == CONNECTING) {
		int error = 0;
		socklen_t size = sizeof(error);

		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error) {
			fail_errno(is_short, index, error);
			return;
		}
		note_established(is_short, c);
		ask(is_short, index);
		return;
	}
	receive(is_short, index);
}

static void fill(void)
{
	int begun = 0;

	for (; fill_at < (uint32_t)options.connections && begun < FILL_EACH_MS; fill_at++) {
		if (longs[fill_at].phase == FREE) {
			begin(false, fill_at, fill_at);
			begun++;
		}
	}
	filling = fill_at < (uint32_t)options.connections;
}

static void begin_short(void)
{
	counts.tried++;
	if (!n_free) {
		fprintf(stderr, "load: %d connections are under way: the rate is beyond this machine\n", MAX_SHORT);
		exit(1);
	}
	begin(true, free_shorts[--n_free], counts.tried);
}

static bool overdue(const struct connection *c, int deadline_ms)
{
	return (c->phase == CONNECTING && now_ms - c->begun_ms > deadline_ms) ||
	       ((c->phase == ASKED || c->phase == ENDING) && now_ms - c->asked_ms > deadline_ms);
}

/* A thousand a second. Long-lived connections take turns by their number. */
void tcp_tick(uint64_t tick)
{
	if (filling)
		fill();
	for (int i = tick % options.period_ms; i < options.connections; i += options.period_ms) {
		if (overdue(&longs[i], options.deadline_ms))
			fail(false, i, "no answer");
		else if (longs[i].phase == IDLE)
			ask(false, i);
	}
	shorts_due += paused ? 0 : options.per_second / 1000.0;
	for (; shorts_due >= 1; shorts_due--)
		begin_short();
	for (int i = tick % 64; i < MAX_SHORT; i += 64)
		if (overdue(&shorts[i], options.short_deadline_ms))
			fail(true, i, "no answer");
}

int tcp_alive(void)
{
	int n = 0;

	for (int i = 0; i < options.connections; i++)
		n += longs[i].phase > ENDING;
	return n;
}

int tcp_waiting(double longer_than_ms)
{
	int n = 0;

	for (int i = 0; i < options.connections; i++)
		n += longs[i].phase == ASKED && now_ms - longs[i].asked_ms > longer_than_ms;
	return n;
}

int tcp_under_way(void)
{
	return MAX_SHORT - n_free;
}

void tcp_note_waits(void)
{
	for (int i = 0; i < options.connections; i++)
		if (longs[i].phase == ASKED && now_ms - longs[i].asked_ms > counts.longest_wait_ms)
			counts.longest_wait_ms = now_ms - longs[i].asked_ms;
}

void tcp_list(void)
{
	const char *between = "";

	printf("{\"event\":\"list\",\"connections\":[");
	for (int i = 0; i < options.connections; i++) {
		struct connection *c = &longs[i];

		if (c->phase <= ENDING || !c->backend[0])
			continue;
		printf("%s{\"address\":\"%s\",\"port\":%u,\"family\":%d,\"backend\":\"%.8s\",\"establishedMs\":%.1f}",
		       between, source_text(c), c->port, c->six ? 6 : 4, c->backend, c->established_ms);
		between = ",";
	}
	printf("]}\n");
}
