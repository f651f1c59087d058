// What Artillery's `ws` engine has no words for: the signature, and how a connection ends.

import { connectRequest } from "./connect.mjs";

/** Signs the challenge, and counts with which code the connection is closed: the engine looks at neither code nor reason. */
export async function sign(context, events) {
  context.ws.once("close", (code) => events.emit("counter", `peers.closed.${code}`, 1));
  context.vars.connect = connectRequest(context.vars.nonce);
}

/** Closes with 1000, which the engine would leave out, and waits for the answer. */
export async function leave(context, events) {
  // The engine leaves its handler where it was, and gateways send events after `hello-ok`: the second message would be a second
  // callback of the same step, which ends Artillery's worker with "Callback was already called".
  context.ws.onmessage = undefined;
  const code = await new Promise((resolve) => {
    context.ws.once("close", resolve);
    context.ws.close(1000);
  });
  events.emit("counter", code === 1000 ? "peers.succeeded" : "peers.failed", 1);
}
