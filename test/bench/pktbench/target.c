// SPDX-License-Identifier: GPL-2.0-only OR MIT
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "target.h"
#include "wrapper.skel.h"

/*
 * A prog array takes only programs that agree with its first user on type, fragment support and (newer kernels)
 * expected attach type. The last two cannot be read back from a loaded program, so try.
 */
static const struct {
	int flags;
	enum bpf_attach_type attach;
} variants[] = {
	{0, BPF_XDP},
	{BPF_F_XDP_HAS_FRAGS, BPF_XDP},
	{0, 0},
	{BPF_F_XDP_HAS_FRAGS, 0},
};
#define NVARIANTS (int)(sizeof(variants) / sizeof(*variants))

void open_target(struct target *t, const char *spec)
{
	const char *eq = strchr(spec, '='), *where = eq ? eq + 1 : spec;
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	char *end;
	long id;

	t->label = eq ? strndup(spec, eq - spec) : spec;
	t->variant = -1;
	id = strtol(where, &end, 10);
	t->fd = *end ? bpf_obj_get(where) : bpf_prog_get_fd_by_id(id);
	if (t->fd < 0 || bpf_obj_get_info_by_fd(t->fd, &info, &len))
		die("%s: %s", where, strerror(errno));
	if (info.type != BPF_PROG_TYPE_XDP)
		die("%s is not an XDP program", where);
	t->id = info.id;
}

bool target_has_frags(const struct target *t)
{
	return t->variant >= 0 && variants[t->variant].flags;
}

static int try_open(struct instance *in, const struct frame *f, int variant, int target_fd)
{
	struct wrapper *skel = wrapper__open();
	__u32 base = SIDE_BASE, target = SIDE_TARGET;
	struct bpf_program *p;
	int err, fd, map;

	if (!skel)
		die("cannot open the wrapper: %s", strerror(errno));
	memcpy((void *)&skel->rodata->cfg, &f->cfg, sizeof(f->cfg));
	bpf_object__for_each_program(p, skel->obj)
	{
		bpf_program__set_flags(p, variants[variant].flags);
		bpf_program__set_expected_attach_type(p, variants[variant].attach);
	}
	err = wrapper__load(skel);
	if (err)
		die("cannot load the wrapper: %s", strerror(-err));
	map = bpf_map__fd(skel->maps.targets);
	fd = bpf_program__fd(skel->progs.trivial);
	err = bpf_map_update_elem(map, &base, &fd, BPF_ANY);
	if (err)
		die("cannot insert the baseline: %s", strerror(-err));
	err = bpf_map_update_elem(map, &target, &target_fd, BPF_ANY);
	if (err) {
		wrapper__destroy(skel);
		return err;
	}
	in->skel = skel;
	in->sides = skel->bss->sides;
	in->sched = skel->bss->sched;
	in->fd[SIDE_BASE] = bpf_program__fd(skel->progs.bench_base);
	in->fd[SIDE_TARGET] = bpf_program__fd(skel->progs.bench_target);
	in->frame = f;
	in->sides[SIDE_BASE].rng = in->sides[SIDE_TARGET].rng = 0x243f6a8885a308d3ULL;
	return 0;
}

void open_instance(struct instance *in, const struct frame *f, struct target *t)
{
	int err = -EINVAL, first = t->variant < 0 ? 0 : t->variant;
	int last = t->variant < 0 ? NVARIANTS - 1 : t->variant;

	for (int v = first; v <= last && err == -EINVAL; v++) {
		err = try_open(in, f, v, t->fd);
		if (!err)
			t->variant = v;
	}
	if (err)
		die("%s cannot be tail-called: %s (it must be an XDP program, not freplace, not bound to a device)",
		    t->label, strerror(-err));
}

void close_instance(struct instance *in)
{
	wrapper__destroy(in->skel);
	in->skel = NULL;
}

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static int test_run(struct instance *in, int side, struct bpf_test_run_opts *o)
{
	int err;

	o->data_in = in->frame->b;
	o->data_size_in = in->frame->cfg.len;
	in->sides[side].base = 0;
	err = bpf_prog_test_run_opts(in->fd[side], o);
	if (err)
		die("BPF_PROG_TEST_RUN: %s", strerror(-err));
	return o->retval;
}

double run_packets(struct instance *in, int side, unsigned int packets)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .repeat = packets);
	double t = cpu_ns();

	test_run(in, side, &o);
	return (cpu_ns() - t) / packets;
}

int run_one(struct instance *in, int side, unsigned char *out, unsigned int *len)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_out = out, .data_size_out = *len, .repeat = 1);
	int verdict = test_run(in, side, &o);

	*len = o.data_size_out;
	return verdict;
}
