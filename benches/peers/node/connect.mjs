// The signed answer to a challenge, as the official command line client of OpenClaw sends it (docs/reference/wire.md, sections 2.1
// and 3). One device a process, whose key never leaves it.

import { createHash, generateKeyPairSync, sign } from "node:crypto";

const ROLE = "operator";
const SCOPES = ["operator.read", "operator.write", "operator.admin", "operator.approvals", "operator.pairing"];
const TOKEN = process.env.PEERS_TOKEN ?? "";

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const rawPublicKey = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
const deviceId = createHash("sha256").update(rawPublicKey).digest("hex");
const publicKeyText = rawPublicKey.toString("base64url");

/** The text of the `connect` request that answers a challenge with this nonce. */
export function connectRequest(nonce) {
  const signedAt = Date.now();
  const signed = ["v3", deviceId, "cli", "cli", ROLE, SCOPES.join(","), signedAt, TOKEN, nonce, "linux", ""].join("|");
  return JSON.stringify({
    type: "req",
    id: "1",
    method: "connect",
    params: {
      minProtocol: 3,
      maxProtocol: 4,
      client: { id: "cli", version: "1.0.0", platform: "linux", mode: "cli" },
      role: ROLE,
      scopes: SCOPES,
      caps: [],
      auth: { token: TOKEN },
      locale: "en-US",
      userAgent: "peers/1.0",
      device: {
        id: deviceId,
        publicKey: publicKeyText,
        signature: sign(null, Buffer.from(signed), privateKey).toString("base64url"),
        signedAt,
        nonce,
      },
    },
  });
}
