/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Shared by the parts of the load: what was asked for, what is counted, who tells. Times are of CLOCK_MONOTONIC. */
#ifndef FAILOVER_LOAD_H
#define FAILOVER_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

#define MAX_SOURCES 16

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct options {
	union address target[2]; /* IPv4, IPv6 */
	bool has[2];
	union address source[2][MAX_SOURCES];
	int sources[2];
	int tcp_port, udp_port;
	int connections; /* long-lived */
	int period_ms;	 /* of their questions */
	int per_second;	 /* short ones */
	int flows;	 /* of datagrams */
	int udp_period_ms;
	int percent6; /* of all of these */
	int deadline_ms, short_deadline_ms;
	int seconds;
};

/* Since the start, but for what is marked: since the last line. */
struct counts {
	uint64_t answers, broken;
	uint64_t tried, done, failed, slow; /* slow: a SYN was sent again */
	uint64_t sent, answered, lost, late, duplicates, moved, errors;
	double longest_wait_ms;	   /* since the last line: that any long-lived connection waited for an answer */
	double longest_connect_ms; /* since the last line: of a short connection until it was established */
	double longest_gap_ms;	   /* since the last line: of any flow between answers */
	double late_ms;		   /* since the last line: how much later than due this process worked */
};

extern struct options options;
extern struct counts counts;
extern bool paused;   /* nothing is asked any more but by long-lived connections */
extern double now_ms; /* of this turn of the loop */

/* main.c */
double clock_ms(void);
void die(const char *what);
void watch(int fd, uint64_t data);
bool is6(int index); /* whether the one of this number goes by IPv6 */
int open_socket(int family, int type);
const char *address_text(const union address *address);

/* Which socket an event is about: what is in its upper half. */
enum { ABOUT_LONG, ABOUT_SHORT, ABOUT_FLOW, ABOUT_CONTROL };
#define ABOUT(what, index) ((uint64_t)(what) << 32 | (uint32_t)(index))

/* tcp.c */
void tcp_start(void);
void tcp_fill(void); /* establishes what is missing of the long-lived ones */
void tcp_churn(int count);
void tcp_tick(uint64_t tick);
void tcp_event(bool is_short, uint32_t index);
void tcp_list(void);
int tcp_alive(void);
int tcp_waiting(double longer_than_ms);
int tcp_under_way(void);
void tcp_note_waits(void);

/* udp.c */
void udp_start(void);
void udp_tick(uint64_t tick);
void udp_event(uint32_t index);
void udp_note_gaps(void);

#endif
