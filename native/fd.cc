#include "fd.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace spillway
{

Fd Fd::Duplicate(int fd)
{
	/* From 3 on, as libbpf does: a descriptor 0 would be mistaken for "none" in the kernel's attributes. */
	return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

void Fd::Close()
{
	if (fd_ >= 0)
		close(std::exchange(fd_, -1));
}

Fd OpenPin(const char *path, PinKind kind)
{
	Fd fd(bpf_obj_get(path));
	if (!fd.valid())
		return fd;
	char name[64], target[64] = "";
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd.get());
	ssize_t length = readlink(name, target, sizeof(target) - 1);
	if (length < 0)
		return Fd();
	bool fits = false;
	switch (kind) {
	case PinKind::kMap:
		fits = strstr(target, "bpf-map") != nullptr;
		break;
	case PinKind::kProgram:
		fits = strstr(target, "bpf-prog") != nullptr;
		break;
	case PinKind::kLink: /* spelt with a dash or an underscore, by kernel version */
		fits = strstr(target, "bpf-link") != nullptr || strstr(target, "bpf_link") != nullptr;
		break;
	}
	if (fits)
		return fd;
	fd.Close();
	errno = EINVAL;
	return fd;
}

} // namespace spillway
