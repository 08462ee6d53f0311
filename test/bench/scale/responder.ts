/** Takes the connections of health checks on every address of its namespace. Ends when its standard input does. */
import { createServer } from 'node:net';

const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.end();
});
server.listen({ host: '0.0.0.0', port: Number(process.argv[2]), backlog: 4096 });
process.stdin.on('end', () => process.exit(0)).resume();
