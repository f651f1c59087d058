// Handshakes with `ws`, as one would write them by hand: so many in flight, each followed by the next.
//
//     node ws.mjs URL HANDSHAKES IN_FLIGHT
//
// Prints what came of them as one line of JSON.

import WebSocket from "ws";
import { connectRequest } from "./connect.mjs";

const [url, handshakes, inFlight] = process.argv.slice(2);
const report = { succeeded: 0, failed: 0, failures: {} };
let left = Number(handshakes);

function handshake() {
  if (left === 0) {
    return;
  }
  left -= 1;
  let accepted = false;
  let failure;
  // The gateway offers no compression; not asking for it saves both sides the talk.
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on("message", (data) => {
    const frame = JSON.parse(data);
    if (frame.event === "connect.challenge") {
      socket.send(connectRequest(frame.payload.nonce));
    } else if (frame.type === "res" && frame.ok && frame.payload.type === "hello-ok") {
      accepted = true;
      socket.close(1000);
    }
  });
  socket.on("error", (error) => (failure = error.code ?? error.message));
  socket.on("close", (code) => {
    if (accepted && code === 1000) {
      report.succeeded += 1;
    } else {
      failure ??= `closed ${code}`;
      report.failed += 1;
      report.failures[failure] = (report.failures[failure] ?? 0) + 1;
    }
    handshake();
  });
}

for (let started = 0; started < Number(inFlight); started += 1) {
  handshake();
}
process.on("exit", () => console.log(JSON.stringify(report)));
