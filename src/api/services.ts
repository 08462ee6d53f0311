import { type Codec, codec, type MessageName, root } from './codec.js';
import type { Services } from './generated/messages.generated.js';

export type * as messages from './generated/messages.generated.js';

export type ServiceName = keyof Services;

export interface Method<Request, Response> {
  /** "apply" */
  readonly name: string;
  /** "/spillway.v1.ConfigService/Apply" */
  readonly path: string;
  readonly stream: boolean;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

export type Shape = { request: unknown; response: unknown; stream: boolean };

export type Methods<Name extends ServiceName> = {
  readonly [Key in keyof Services[Name]]: Services[Name][Key] extends Shape
    ? Method<Services[Name][Key]['request'], Services[Name][Key]['response']>
    : never;
};

/** The methods of a service as the descriptor has them. */
export function methodsOf<Name extends ServiceName>(name: Name): Methods<Name> {
  const service = root.lookupService(`spillway.v1.${name}`);
  const methods: Record<string, Method<never, never>> = {};
  for (const method of service.methodsArray) {
    const key = method.name.charAt(0).toLowerCase() + method.name.slice(1);
    methods[key] = {
      name: key,
      path: `/spillway.v1.${name}/${method.name}`,
      stream: method.responseStream === true,
      request: codec(nameOf(method.resolvedRequestType)) as Codec<never>,
      response: codec(nameOf(method.resolvedResponseType)) as Codec<never>,
    };
  }
  return methods as unknown as Methods<Name>;
}

function nameOf(type: { fullName: string } | null): MessageName {
  return type!.fullName.slice(1) as MessageName;
}
