/* Descriptors: one owner each, and what kind of BPF object they stand for. */
#pragma once
#include <utility>

namespace spillway
{

class Fd
{
      public:
	Fd() = default;
	explicit Fd(int fd) : fd_(fd)
	{
	}
	Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1))
	{
	}
	Fd &operator=(Fd &&other) noexcept
	{
		if (this != &other) {
			Close();
			fd_ = std::exchange(other.fd_, -1);
		}
		return *this;
	}
	~Fd()
	{
		Close();
	}
	/* A second descriptor of the same object, close-on-exec. */
	static Fd Duplicate(int fd);
	int get() const
	{
		return fd_;
	}
	bool valid() const
	{
		return fd_ >= 0;
	}
	int Release()
	{
		return std::exchange(fd_, -1);
	}
	void Close();

      private:
	int fd_ = -1;
};

enum class PinKind { kMap, kProgram, kLink };

/*
 * Opens a pin and checks its kind: bpf_obj_get gives a descriptor for any pin, and the info calls of another kind
 * fill the struct with nonsense. On failure invalid, with errno set (EINVAL: a pin of another kind).
 */
Fd OpenPin(const char *path, PinKind kind);

} // namespace spillway
