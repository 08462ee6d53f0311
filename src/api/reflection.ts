import type grpc from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { files } from './generated/files.generated.js';
import type { ServiceName } from './services.js';

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/**
 * Server reflection v1 and v1alpha: clients such as grpcurl work without our .proto files.
 * @param services those that this server has: what nodes say to each other is served elsewhere.
 */
export function addReflection(server: grpc.Server, services: readonly ServiceName[]): void {
  // The service reads nothing but the descriptors of a package definition.
  const fileDescriptorProtos = Object.values(files).map((base64) => Buffer.from(base64, 'base64'));
  const definition = { spillway: { fileDescriptorProtos } } as unknown as PackageDefinition;
  const names = services.map((name) => `spillway.v1.${name}`);
  new ReflectionService(definition, { services: names }).addToServer(server);
}
