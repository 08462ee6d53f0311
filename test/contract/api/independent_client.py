"""A gRPC client that knows nothing of this project: it learns the API by server reflection.

Usage: independent_client.py TARGET. Prints one JSON object. Needs Debian's python3-grpcio.
"""
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

F = descriptor_pb2.FieldDescriptorProto


def reflection_messages(package):
    """The part of grpc.reflection.v1 that is used here, by hand: Debian has no package with it."""
    file = descriptor_pb2.FileDescriptorProto(name=package + ".proto", package=package, syntax="proto3")

    def add(name, *fields):
        message = file.message_type.add(name=name)
        for field, number, kind, label, type_name in fields:
            message.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)

    one, many = F.LABEL_OPTIONAL, F.LABEL_REPEATED
    add("Request", ("file_containing_symbol", 4, F.TYPE_STRING, one, None), ("list_services", 7, F.TYPE_STRING, one, None))
    add("Files", ("file_descriptor_proto", 1, F.TYPE_BYTES, many, None))
    add("Service", ("name", 1, F.TYPE_STRING, one, None))
    add("Services", ("service", 1, F.TYPE_MESSAGE, many, f".{package}.Service"))
    add(
        "Response",
        ("files", 4, F.TYPE_MESSAGE, one, f".{package}.Files"),
        ("services", 6, F.TYPE_MESSAGE, one, f".{package}.Services"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return [prototype(pool, f"{package}.{name}") for name in ("Request", "Response")]


def prototype(pool, name):
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def reflect(channel, package):
    request, response = reflection_messages(package)
    call = channel.stream_stream(
        f"/{package}.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response.FromString,
    )
    services = [one.name for one in next(call(iter([request(list_services="*")]))).services.service]
    pool = descriptor_pool.DescriptorPool()
    known = {}
    for service in services:
        if service.startswith("spillway."):
            answer = next(call(iter([request(file_containing_symbol=service)])))
            for data in answer.files.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(data)
                known[file.name] = file

    def add(file):
        for name in file.dependency:
            if name in known:
                add(known.pop(name))
        pool.Add(file)

    while known:
        add(known.pop(next(iter(known))))
    return services, pool


def call(channel, pool, method, document):
    service, name = method.rsplit("/", 1)
    descriptor = pool.FindServiceByName(service).methods_by_name[name]
    request = json_format.ParseDict(document, prototype(pool, descriptor.input_type.full_name)(), descriptor_pool=pool)
    response = prototype(pool, descriptor.output_type.full_name)
    stub = channel.unary_unary(
        "/" + method, request_serializer=lambda one: one.SerializeToString(), response_deserializer=response.FromString
    )
    try:
        return json_format.MessageToDict(stub(request, timeout=10), descriptor_pool=pool)
    except grpc.RpcError as error:
        return {"code": error.code().name, "message": error.details(), "trailers": [key for key, _ in error.trailing_metadata()]}


def main(target):
    with grpc.insecure_channel(target) as channel:
        services, pool = reflect(channel, "grpc.reflection.v1")
        older, _ = reflect(channel, "grpc.reflection.v1alpha")
        backends = [{"address": f"nowhere-{index}"} for index in range(5000)]
        wrong = {"config": {"backendGroups": [{"name": "x", "forwarding": "IPIP", "backends": backends}]}}
        group = {"name": "web", "forwarding": "L2_DSR", "backends": [{"address": "203.0.113.1", "weight": 0}]}
        print(
            json.dumps(
                {
                    "services": sorted(services),
                    "alpha": sorted(older),
                    "apply": call(channel, pool, "spillway.v1.ConfigService/Apply", {"config": {"backendGroups": [group]}}),
                    "get": call(channel, pool, "spillway.v1.ConfigService/Get", {}),
                    "status": call(channel, pool, "spillway.v1.StatusService/Get", {}),
                    "refused": call(channel, pool, "spillway.v1.ConfigService/Apply", wrong),
                }
            )
        )


main(sys.argv[1])
