// A server on `ws`; the path of a connection says what it does (main.rs). `server.py` does the same on `websockets`.
//     node server.mjs FOLDER
// FOLDER has node_modules/ws. Ends when its standard input does.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const { WebSocketServer } = createRequire(`${process.argv[2]}/`)('ws');

// As a server that knows nothing of WebSocket answers: in chunks, and the connection stays open.
const plain = createServer((request, response) => {
  response.statusCode = 426;
  response.write('no WebSocket ');
  response.end('here');
});
plain.listen(0, '127.0.0.1', () => server.listen(0, '127.0.0.1', () => {
  console.log(`${server.address().port} ${plain.address().port}`);
}));

const server = createServer();
const sockets = new WebSocketServer({
  server,
  maxPayload: 2 << 20,
  verifyClient: ({ req }, done) => done(req.url !== '/refuse', 503, 'gateway draining'),
});

// `?NAME=VALUE` in the path of an answer: the header NAME, or no such header.
sockets.on('headers', (lines, request) => {
  const url = new URL(request.url, 'ws://host');
  if (url.pathname !== '/answer') return;
  for (const name of new Set(url.searchParams.keys())) {
    const begin = `${name.toLowerCase()}:`;
    const kept = lines.filter((line) => !line.toLowerCase().startsWith(begin));
    const values = url.searchParams.getAll(name).filter((value) => value !== '');
    lines.splice(0, lines.length, ...kept, ...values.map((value) => `${name}: ${value}`));
  }
});

sockets.on('connection', (socket, request) => {
  const url = new URL(request.url, 'ws://host');
  const asked = url.searchParams;
  socket.on('error', () => {});
  switch (url.pathname) {
    case '/echo':
      socket.on('message', (data, binary) => socket.send(data, { binary }));
      break;
    case '/request':
      socket.send(JSON.stringify([request.url, request.headers]));
      break;
    case '/ping':
      socket.on('pong', (payload) => socket.send(`pong ${payload}`));
      socket.ping('there?');
      break;
    case '/fragments': {
      const parts = ['Gr', 'ü', '', 'ße'];
      parts.forEach((part, index) => {
        socket.ping(part);
        socket.send(part, { fin: index === parts.length - 1 });
      });
      break;
    }
    case '/close':
      socket.close(Number(asked.get('code')), asked.get('reason'));
      break;
    case '/raw':
      socket._socket.write(Buffer.from(asked.get('hex'), 'hex'));
      break;
    default:
      socket.send('greeting');
  }
});

process.stdin.on('end', () => process.exit()).resume();
