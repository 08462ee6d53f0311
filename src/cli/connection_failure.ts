interface Failure {
  readonly reason: string;
  readonly remedy: string;
}

/** How grpc-js words what happened before any agent could answer. */
export function isConnectionFailure(message: string): boolean {
  return /^No connection established|^connect E|^Name resolution failed|^Connection dropped|ECONNRE/i.test(message);
}

const elsewhere = 'Another one is named with --socket or SPILLWAY_SOCKET.';

/** By the error's name where it has one. */
const known: Readonly<Record<string, Failure>> = {
  ENOENT: { reason: 'no such socket', remedy: `Is spillwayd running? ${elsewhere}` },
  ECONNREFUSED: {
    reason: 'connection refused',
    remedy: `Nobody listens there: is spillwayd running? ${elsewhere}`,
  },
  EACCES: { reason: 'permission denied', remedy: 'Run it as root, or as a user who may use the socket.' },
  EPERM: { reason: 'permission denied', remedy: 'Run it as root, or as a user who may use the socket.' },
  EHOSTUNREACH: { reason: 'no route to the host', remedy: `Look at the routes from here. ${elsewhere}` },
  ENETUNREACH: { reason: 'no route to the network', remedy: `Look at the routes from here. ${elsewhere}` },
  ETIMEDOUT: { reason: 'the host does not answer', remedy: `Is it up, and its firewall open? ${elsewhere}` },
};

export function connectionFailure(message: string, call: { target: string; tls: boolean }): Failure {
  const failure = known[/\bE[A-Z]{4,}\b/.exec(message)?.[0] ?? ''];
  if (failure !== undefined) return failure;
  if (message.startsWith('Name resolution failed')) {
    return { reason: 'the name is not known', remedy: `Look at the host in --socket. ${elsewhere}` };
  }
  if (!call.tls && !call.target.startsWith('unix:')) {
    return {
      reason: 'the connection was closed',
      remedy: 'Over TCP the agent wants mutual TLS: give --tls-ca, --tls-cert and --tls-key.',
    };
  }
  const cause = /Last error: (?:Error(?: \[\w+\])?: )?(.*?)\.? Resolution note:/.exec(message)?.[1] ?? message;
  if (!call.tls) return { reason: cause, remedy: `Is that the socket of an agent? ${elsewhere}` };
  if (/certificate|altname/i.test(cause)) {
    return { reason: cause, remedy: 'Look at --tls-ca and --tls-server-name: is it the agent that was meant?' };
  }
  return {
    reason: 'the connection was closed during the TLS handshake',
    remedy: 'Does the agent trust the CA of --tls-cert (listen.tcp.clientCa), and is it an agent at all?',
  };
}
