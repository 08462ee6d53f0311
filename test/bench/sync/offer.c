// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * offer: writes sessions into one node's session table and log, as its data path would, and looks for them in the
 * tables of its peers. One process and one clock, so that a lag is the difference of two readings of it.
 *
 *   offer run   -s SESSIONS,DETAILS,LOG -w SESSIONS... -r PER_SECOND -d SECONDS [-f FIRST] [-6]
 *   offer fill  -s SESSIONS,DETAILS -n COUNT [-6]     at once, without log
 *   offer check -s SESSIONS -w SESSIONS... -n COUNT [-f FIRST]   who has them all?
 *
 * Maps are named by id. Sessions are numbered; a session's tag, client and backend follow from its number. Each is
 * young and logged when its handshake completes, established and logged REQUEST_NS later, when the client's request
 * comes; where this process was kept from its core, what was due meanwhile happens in the order in which it was due.
 * One in SAMPLE is watched for, by looking at its two buckets, each LOOK_NS: a lag is told as up to that much longer
 * than it was, never shorter.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../../bpf/abi_types.h"

#define SAMPLE	    16
#define LOOK_NS	    400000
#define REQUEST_NS  1000000
#define MAX_WATCHED 8
/* Outstanding samples looked at each time, in turn: more would take the core from who is to deliver them. */
#define MAX_LOOKS 256
/* Falls behind rather than catch up by a burst that no network would bring. */
#define MAX_BURST_NS 20000000ull
#define QUIET_NS     3000000000ull
#define BACKENDS     16
/* The bench's own: nothing but the nodes under test reads it. */
#define TICK_NS 256000000ull

#define ONCE(x) (*(volatile typeof(x) *)&(x))

struct table {
	struct session_bucket *buckets;
	struct session_detail *details;
	unsigned long count;
};

struct sample {
	__u64 tag, ns;
};

struct watched {
	struct table table;
	struct sample *outstanding;
	unsigned long waiting, cursor, found;
	__u64 *lags;
};

static bool v6;
static __u64 first_number;
static struct table own;
static struct session_log *logs;
static unsigned int log_count;
static struct watched watched[MAX_WATCHED];
static int watched_count;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("offer: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	exit(1);
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* ---- tables ---------------------------------------------------------------- */

static void *map_memory(__u32 id, size_t value_bytes, unsigned int *entries)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id);
	void *memory;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length))
		die("map %u: %s", id, strerror(errno));
	if (info.value_size != value_bytes)
		die("map %u: values of %u bytes, expected %zu", id, info.value_size, value_bytes);
	memory = mmap(NULL, (size_t)info.max_entries * value_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("map %u: mmap: %s", id, strerror(errno));
	close(fd);
	*entries = info.max_entries;
	return memory;
}

static struct table table_of(__u32 id)
{
	unsigned int entries;
	struct table table = {.buckets = map_memory(id, sizeof(struct session_bucket), &entries)};

	table.count = entries;
	return table;
}

/* As bpf/session.h. */
static __u32 first_bucket(const struct table *table, __u64 tag)
{
	return (__u64)(__u32)tag * table->count >> 32;
}

static __u32 second_bucket(const struct table *table, __u64 tag)
{
	__u32 first = first_bucket(table, tag), second = (tag >> 32) * table->count >> 32;

	if (second != first)
		return second;
	return first + 1 == table->count ? 0 : first + 1;
}

static struct session_slot *find(const struct table *table, __u64 tag)
{
	__u32 buckets[] = {first_bucket(table, tag), second_bucket(table, tag)};

	for (int b = 0; b < 2; b++)
		for (int i = 0; i < SLOTS_PER_BUCKET; i++) {
			struct session_slot *slot = &table->buckets[buckets[b]].slots[i];

			if (ONCE(slot->tag) == tag && ONCE(slot->value))
				return slot;
		}
	return NULL;
}

static int free_slots(const struct session_bucket *bucket)
{
	int count = 0;

	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		count += !ONCE(bucket->slots[i].tag);
	return count;
}

/* ---- sessions by number ---------------------------------------------------- */

static __u64 tag_of(__u64 number)
{
	__u64 x = (first_number + number + 1) * 0x9e3779b97f4a7c15ull; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	return x ? x : 1;
}

static __u16 backend_of(__u64 number)
{
	return 1 + number % BACKENDS;
}

static __u64 value_of(__u64 number, __u64 ns, enum session_state state)
{
	return backend_of(number) | 1ull << 16 | (ns / TICK_NS & TICK_MASK) << 32 | (__u64)state << 56;
}

static struct session_detail detail_of(__u64 number, __u64 ns)
{
	struct session_detail detail = {
		.client_port = __builtin_bswap16(1024 + number % 60000),
		.service = 1,
		.created_tick = ns / TICK_NS,
		.tag_check = tag_of(number) >> 32,
		.protocol = 6,
	};
	__be32 low = __builtin_bswap32(0x0a000000 | (number / 60000 & 0xffffff));

	detail.client.words[0] = v6 ? __builtin_bswap32(0x20010db8) : 0;
	detail.client.words[2] = v6 ? 0 : __builtin_bswap32(0xffff);
	detail.client.words[3] = low;
	return detail;
}

/* Its slot, or -1: no room. */
static long insert(__u64 number, __u64 ns, enum session_state state)
{
	__u64 tag = tag_of(number);
	__u32 first = first_bucket(&own, tag), second = second_bucket(&own, tag);
	__u32 at = free_slots(&own.buckets[second]) > free_slots(&own.buckets[first]) ? second : first;
	struct session_bucket *bucket = &own.buckets[at];

	for (int i = 0; i < SLOTS_PER_BUCKET; i++) {
		if (bucket->slots[i].tag || !__sync_bool_compare_and_swap(&bucket->slots[i].tag, 0, tag))
			continue;
		own.details[(size_t)at * SLOTS_PER_BUCKET + i] = detail_of(number, ns);
		ONCE(bucket->slots[i].value) = value_of(number, ns, state);
		return (long)at * SLOTS_PER_BUCKET + i;
	}
	return -1;
}

static void announce(long slot, __u64 number)
{
	struct session_log *log = &logs[number % log_count];
	__u64 n = __sync_fetch_and_add(&log->head, 1);

	ONCE(log->entries[n & (SESSION_LOG_ENTRIES - 1)]) = (__u64)slot << 32 | (__u32)(n + 1);
}

/* ---- run ------------------------------------------------------------------- */

static void look(struct watched *one)
{
	unsigned long looks = one->waiting < MAX_LOOKS ? one->waiting : MAX_LOOKS;

	for (unsigned long n = 0; n < looks && one->waiting; n++) {
		if (one->cursor >= one->waiting)
			one->cursor = 0;
		struct sample *sample = &one->outstanding[one->cursor];

		if (find(&one->table, sample->tag)) {
			one->lags[one->found++] = now_ns() - sample->ns;
			*sample = one->outstanding[--one->waiting];
		} else {
			one->cursor++;
		}
	}
}

/* In order, those whose request has come: `count` sessions are there. */
static __u64 establish(const long *slots, __u64 from, __u64 count, __u64 ns)
{
	for (; from < count; from++) {
		if (slots[from] < 0)
			continue;
		ONCE(own.buckets->slots[slots[from]].value) = value_of(from, ns, SESSION_ESTABLISHED);
		announce(slots[from], from);
	}
	return from;
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static unsigned long within(const struct watched *one, __u64 ns)
{
	unsigned long count = 0;

	while (count < one->found && one->lags[count] <= ns)
		count++;
	return count;
}

/* In ms; what was not found at all is beyond all that were: null. */
static void print_lag(const struct watched *one, const char *name, double share)
{
	unsigned long samples = one->found + one->waiting, at = share * samples;

	printf(", \"%s\": ", name);
	if (at < one->found)
		printf("%.3f", one->lags[at] / 1e6);
	else
		printf("null");
}

struct missing {
	unsigned long missing, wrong;
};

/* Sessions that the sender has and this one has not, or with another backend. */
static struct missing missing_in(const struct table *table, __u64 count)
{
	struct missing found = {};

	for (__u64 number = 0; number < count; number++) {
		struct session_slot *mine = find(&own, tag_of(number)), *theirs;

		if (!mine)
			continue;
		theirs = find(table, tag_of(number));
		found.missing += !theirs;
		found.wrong += theirs && (__u16)theirs->value != backend_of(number);
	}
	return found;
}

/* Sessions on their way are waited for, until `deadline`. */
static void print_missing(const struct watched *one, __u64 count, __u64 deadline)
{
	struct timespec pause = {.tv_nsec = 20000000};
	struct missing found;

	while ((found = missing_in(&one->table, count), found.missing + found.wrong) && now_ns() < deadline)
		nanosleep(&pause, NULL);
	printf("\"missing\": %lu, \"wrongBackend\": %lu", found.missing, found.wrong);
}

static void print_watched(struct watched *one, __u64 count, __u64 deadline)
{
	qsort(one->lags, one->found, sizeof(*one->lags), compare);
	printf("{\"samples\": %lu, \"within10\": %lu, \"within100\": %lu, \"found\": %lu", one->found + one->waiting,
	       within(one, 10000000), within(one, 100000000), one->found);
	print_lag(one, "p50Ms", 0.5);
	print_lag(one, "p99Ms", 0.99);
	print_lag(one, "p999Ms", 0.999);
	printf(", \"maxMs\": %.3f, ", one->found ? one->lags[one->found - 1] / 1e6 : 0);
	print_missing(one, count, deadline);
	printf("}");
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void run(double rate, double seconds)
{
	__u64 most = rate * seconds, start = now_ns(), behind = 0, count = 0, inserted = 0, end;
	long *young = calloc(most ? most : 1, sizeof(*young));
	__u64 established = 0, samples = most / SAMPLE + 1, requests = rate * REQUEST_NS / 1e9;
	bool waits = true;

	prctl(PR_SET_TIMERSLACK, 1);
	/* It stands for a data path in softirq, which no process is preferred to. */
	setpriority(PRIO_PROCESS, 0, -20);
	for (int i = 0; i < watched_count; i++) {
		watched[i].outstanding = calloc(samples, sizeof(struct sample));
		watched[i].lags = calloc(samples, sizeof(__u64));
	}
	while (count < most) {
		struct timespec pause = {.tv_nsec = LOOK_NS};
		__u64 ns = now_ns(), due;

		if (ns - start - behind > count * 1e9 / rate + MAX_BURST_NS)
			behind = ns - start - (__u64)(count * 1e9 / rate) - MAX_BURST_NS;
		due = (ns - start - behind) * rate / 1e9;
		for (; count < due && count < most; count++) {
			if (count > requests)
				established = establish(young, established, count - requests, ns);
			young[count] = insert(count, ns, SESSION_YOUNG);
			if (young[count] < 0)
				continue;
			announce(young[count], count);
			inserted++;
			if (count % SAMPLE)
				continue;
			for (int i = 0; i < watched_count; i++)
				watched[i].outstanding[watched[i].waiting++] =
					(struct sample){.tag = tag_of(count), .ns = ns};
		}
		if (due > requests)
			established =
				establish(young, established, due - requests < count ? due - requests : count, ns);
		for (int i = 0; i < watched_count; i++)
			look(&watched[i]);
		nanosleep(&pause, NULL);
	}
	end = now_ns();
	establish(young, established, count, end);
	while (waits && now_ns() - end < QUIET_NS) {
		struct timespec pause = {.tv_nsec = LOOK_NS};

		waits = false;
		for (int i = 0; i < watched_count; i++) {
			look(&watched[i]);
			waits |= watched[i].waiting > 0;
		}
		nanosleep(&pause, NULL);
	}
	printf("{\"offered\": %llu, \"seconds\": %.3f, \"heldBackMs\": %.1f, \"cpuSeconds\": %.3f, \"peers\": [",
	       inserted, (end - start) / 1e9, behind / 1e6, cpu_seconds());
	for (int i = 0; i < watched_count; i++) {
		if (i)
			printf(", ");
		print_watched(&watched[i], count, end + QUIET_NS);
	}
	printf("]}\n");
	free(young);
}

/* Numbers whose buckets are full are left out: the data path would move others. */
static void fill(__u64 count)
{
	__u64 inserted = 0, number = 0;

	for (; inserted < count && number < 2 * count; number++)
		inserted += insert(number, now_ns(), SESSION_ESTABLISHED) >= 0;
	printf("{\"inserted\": %llu, \"numbers\": %llu}\n", inserted, number);
}

static void check(__u64 count)
{
	printf("{\"peers\": [");
	for (int i = 0; i < watched_count; i++) {
		printf("%s{", i ? ", " : "");
		print_missing(&watched[i], count, 0);
		printf("}");
	}
	printf("]}\n");
}

static void open_sender(char *ids)
{
	char *details = strchr(ids, ','), *log = details ? strchr(details + 1, ',') : NULL;
	unsigned int entries;

	own = table_of(atoi(ids));
	if (details)
		own.details = map_memory(atoi(details + 1), sizeof(struct session_detail), &entries);
	if (log)
		logs = map_memory(atoi(log + 1), sizeof(struct session_log), &log_count);
}

int main(int argc, char **argv)
{
	const char *job = argc > 1 ? argv[1] : "";
	double rate = 0, seconds = 0;
	__u64 count = 0;
	int option;

	while ((option = getopt(argc - 1, argv + 1, "s:w:r:d:n:f:6")) >= 0) {
		switch (option) {
		case 's':
			open_sender(optarg);
			break;
		case 'w':
			if (watched_count == MAX_WATCHED)
				die("at most %d tables are watched", MAX_WATCHED);
			watched[watched_count++].table = table_of(atoi(optarg));
			break;
		case 'r':
			rate = atof(optarg);
			break;
		case 'd':
			seconds = atof(optarg);
			break;
		case 'n':
			count = atoll(optarg);
			break;
		case 'f':
			first_number = atoll(optarg);
			break;
		case '6':
			v6 = true;
			break;
		default:
			die("see the head of offer.c");
		}
	}
	if (!strcmp(job, "run") && logs && rate > 0)
		run(rate, seconds);
	else if (!strcmp(job, "fill") && own.details)
		fill(count);
	else if (!strcmp(job, "check") && own.buckets)
		check(count);
	else
		die("see the head of offer.c");
	return 0;
}
