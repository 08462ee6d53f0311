// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Flows of datagrams: each has a number and an answer, and one without an answer after a second is lost. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "load.h"

#define LOST_MS 1000
#define RING	4096 /* of those sent last: more than in LOST_MS at one a millisecond */

struct flow {
	int fd;
	uint64_t next, tail; /* numbers: to be sent, not yet judged */
	double last_answer_ms;
	char backend[NAME_SIZE];
	struct {
		double sent_ms;
		bool answered;
	} ring[RING];
};

static struct flow *flows;

void udp_start(void)
{
	int room = 4 << 20;

	flows = calloc(options.flows, sizeof(*flows));
	if (!flows && options.flows)
		die("memory");
	for (int i = 0; i < options.flows; i++) {
		bool six = is6(i);
		union address to = options.target[six];
		struct flow *flow = &flows[i];

		flow->fd = open_socket(to.any.sa_family, SOCK_DGRAM);
		setsockopt(flow->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
		to.v4.sin_port = htons(options.udp_port); /* at the same place in IPv6's */
		if (connect(flow->fd, &to.any, six ? sizeof(to.v6) : sizeof(to.v4)))
			die("connect UDP");
		flow->last_answer_ms = now_ms;
		watch(flow->fd, ABOUT(ABOUT_FLOW, i));
	}
}

static void judge(struct flow *flow)
{
	while (flow->tail < flow->next && now_ms - flow->ring[flow->tail % RING].sent_ms > LOST_MS)
		counts.lost += !flow->ring[flow->tail++ % RING].answered;
}

static void ask(struct flow *flow, uint32_t index)
{
	struct question question = {.flow = index, .number = flow->next};

	for (int attempt = 0; attempt < 3; attempt++) {
		if (send(flow->fd, &question, sizeof(question), 0) == sizeof(question)) {
			flow->ring[flow->next % RING].sent_ms = now_ms;
			flow->ring[flow->next % RING].answered = false;
			flow->next++;
			counts.sent++;
			return;
		}
		/* An ICMP error about an earlier datagram is told here, and this one was not sent. */
		counts.errors++;
	}
}

void udp_tick(uint64_t tick)
{
	for (int i = 0; i < options.flows; i++) {
		judge(&flows[i]);
		if (!paused && (tick + i) % options.udp_period_ms == 0)
			ask(&flows[i], i);
	}
}

static void take(struct flow *flow, const struct answer *answer)
{
	uint64_t number = answer->question.number;

	if (number >= flow->next || number + RING < flow->next)
		return;
	if (flow->ring[number % RING].answered) {
		counts.duplicates++;
		return;
	}
	flow->ring[number % RING].answered = true;
	if (number < flow->tail)
		counts.late++;
	counts.answered++;
	if (now_ms - flow->last_answer_ms > counts.longest_gap_ms)
		counts.longest_gap_ms = now_ms - flow->last_answer_ms;
	flow->last_answer_ms = now_ms;
	if (memcmp(flow->backend, answer->backend, NAME_SIZE)) {
		counts.moved += flow->backend[0] != 0;
		memcpy(flow->backend, answer->backend, NAME_SIZE);
	}
}

void udp_event(uint32_t index)
{
	struct flow *flow = &flows[index];
	struct answer answer;
	ssize_t n;

	while ((n = recv(flow->fd, &answer, sizeof(answer), 0)) >= 0) {
		if (n == sizeof(answer) && answer.question.flow == index)
			take(flow, &answer);
		else
			counts.errors++;
	}
	if (errno != EAGAIN)
		counts.errors++;
}

void udp_note_gaps(void)
{
	for (int i = 0; i < options.flows && !paused; i++)
		if (now_ms - flows[i].last_answer_ms > counts.longest_gap_ms)
			counts.longest_gap_ms = now_ms - flows[i].last_answer_ms;
}
