#include "args.h"
#include "error.h"

#include <cmath>
#include <cstring>

namespace spillway
{

void Args::Fail(const std::string &text)
{
	if (!failed_)
		ThrowArgument(env_, call_, text);
	failed_ = true;
}

std::string Args::Text(Napi::Value value, const char *name)
{
	if (failed())
		return {};
	if (!value.IsString()) {
		Fail(std::string(name) + " must be a string");
		return {};
	}
	std::string text = value.As<Napi::String>().Utf8Value();
	if (text.empty() || text.find('\0') != std::string::npos) {
		Fail(std::string(name) + " must be a string without NUL, not empty");
		return {};
	}
	return text;
}

uint32_t Args::Number(Napi::Value value, const char *name, uint32_t least, uint32_t most)
{
	if (failed())
		return 0;
	double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
	if (!(number >= least && number <= most) || number != std::floor(number)) {
		Fail(std::string(name) + " must be an integer from " + std::to_string(least) + " to " +
		     std::to_string(most));
		return 0;
	}
	return static_cast<uint32_t>(number);
}

uint32_t Args::Number(Napi::Value value, const char *name, uint32_t least, uint32_t most, uint32_t absent)
{
	return IsAbsent(value) ? absent : Number(value, name, least, most);
}

bool Args::Flag(Napi::Value value, const char *name, bool absent)
{
	if (failed() || IsAbsent(value))
		return absent;
	if (!value.IsBoolean())
		Fail(std::string(name) + " must be a boolean");
	return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

Bytes Args::View(Napi::Value value, const char *name)
{
	if (failed())
		return {};
	if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
		Fail(std::string(name) + " must be a Uint8Array");
		return {};
	}
	Napi::Uint8Array array = value.As<Napi::Uint8Array>();
	return {array.Data(), array.ByteLength()};
}

Bytes Args::View(Napi::Value value, const char *name, size_t size)
{
	Bytes bytes = View(value, name);
	if (!failed() && bytes.size != size) {
		Fail(std::string(name) + " must have " + std::to_string(size) + " bytes, not " +
		     std::to_string(bytes.size));
		return {};
	}
	return bytes;
}

std::optional<std::vector<uint8_t>> Args::Copy(Napi::Value value, const char *name)
{
	if (failed() || IsAbsent(value))
		return std::nullopt;
	Bytes bytes = View(value, name);
	return std::vector<uint8_t>(bytes.data, bytes.data + bytes.size);
}

Bytes Args::Buffer(Napi::Value value, const char *name)
{
	if (failed())
		return {};
	if (!value.IsArrayBuffer()) {
		Fail(std::string(name) + " must be an ArrayBuffer");
		return {};
	}
	Napi::ArrayBuffer buffer = value.As<Napi::ArrayBuffer>();
	return {static_cast<uint8_t *>(buffer.Data()), buffer.ByteLength()};
}

Napi::Function Args::Function(Napi::Value value, const char *name)
{
	if (failed())
		return {};
	if (!value.IsFunction()) {
		Fail(std::string(name) + " must be a function");
		return {};
	}
	return value.As<Napi::Function>();
}

Napi::Object Args::Object(Napi::Value value, const char *name)
{
	if (failed())
		return {};
	if (!value.IsObject()) {
		Fail(std::string(name) + " must be an object");
		return {};
	}
	return value.As<Napi::Object>();
}

Napi::Array Args::Array(Napi::Value value, const char *name)
{
	if (failed())
		return {};
	if (!value.IsArray()) {
		Fail(std::string(name) + " must be an array");
		return {};
	}
	return value.As<Napi::Array>();
}

Napi::Value Args::Field(Napi::Object object, const char *name)
{
	if (failed())
		return env_.Undefined();
	Napi::Value value = object.Get(name);
	return value.IsEmpty() ? env_.Undefined() : value;
}

Napi::Value MakeBytes(Napi::Env env, const void *data, size_t size)
{
	Napi::Uint8Array bytes = Napi::Uint8Array::New(env, size);
	if (!bytes.IsEmpty() && size > 0)
		memcpy(bytes.Data(), data, size);
	return bytes;
}

} // namespace spillway
