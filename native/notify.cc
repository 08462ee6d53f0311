#include "notify.h"
#include "args.h"
#include "error.h"
#include "fd.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace spillway
{

Napi::Value NotifySystemd(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "notifySystemd");
	std::string path = args.Text(info[0], "path"), state = args.Text(info[1], "state");
	sockaddr_un address = {};
	address.sun_family = AF_UNIX;
	if (!args.failed() && ((path[0] != '/' && path[0] != '@') || path.size() >= sizeof(address.sun_path)))
		args.Fail("path must begin with / or @ and be shorter than " +
			  std::to_string(sizeof(address.sun_path)));
	if (args.failed())
		return {};
	memcpy(address.sun_path, path.data(), path.size());
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* the abstract namespace: its names are as long as they are said to be */
	socklen_t length = offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '/');
	Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (!fd.valid())
		ThrowErrno(env, errno, "socket");
	else if (sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr *>(&address),
			length) < 0)
		ThrowErrno(env, errno, "sendto", nullptr, path);
	return {};
}

} // namespace spillway
