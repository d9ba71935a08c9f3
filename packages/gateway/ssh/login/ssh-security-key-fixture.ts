import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";

export type SecurityKeyType = "sk-ssh-ed25519@openssh.com" | "sk-ecdsa-sha2-nistp256@openssh.com";

/** A security key in software. It signs any message with these flags. */
export interface SecurityKey {
  /** `<type> <base64>`. */
  readonly public: string;
  /** Returns a signature as in OpenSSH's PROTOCOL.u2f: type, signature, flags and counter. */
  sign(message: Buffer, flags?: number): Buffer;
}

const TOUCHED = 1;
const APPLICATION = Buffer.from("ssh:");

export function newSecurityKey(type: SecurityKeyType): SecurityKey {
  const isEd25519 = type === "sk-ssh-ed25519@openssh.com";
  const made = isEd25519 ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { privateKey, publicKey } = made as { privateKey: KeyObject; publicKey: KeyObject };
  const jwk = publicKey.export({ format: "jwk" });
  const [x, y] = [jwk.x, jwk.y].map((part) => Buffer.from(part ?? "", "base64url")) as [Buffer, Buffer];
  const point = isEd25519 ? [x] : [Buffer.from("nistp256"), Buffer.concat([Buffer.from([4]), x, y])];
  const blob = Buffer.concat([Buffer.from(type), ...point, APPLICATION].map(text));
  return {
    public: `${type} ${blob.toString("base64")}`,
    sign: (message, flags = TOUCHED) => {
      const rest = Buffer.from([flags, 0, 0, 0, 7]);
      const signed = Buffer.concat([hash(APPLICATION), rest, hash(message)]);
      if (isEd25519) return Buffer.concat([text(Buffer.from(type)), text(sign(null, signed, privateKey)), rest]);
      const both = sign("sha256", signed, { key: privateKey, dsaEncoding: "ieee-p1363" });
      const inner = Buffer.concat([mpint(both.subarray(0, 32)), mpint(both.subarray(32))].map(text));
      return Buffer.concat([text(Buffer.from(type)), text(inner), rest]);
    },
  };
}

const LIST = 11;
const SIGN = 13;

/** Serves one key as an agent on a socket (draft-ietf-sshm-ssh-agent), which goes with the answered function. */
export async function serveSecurityKey(path: string, key: SecurityKey, flags?: number): Promise<() => void> {
  const blob = Buffer.from(key.public.split(" ")[1] ?? "", "base64");
  const answer = (message: Buffer) => {
    if (message[0] === LIST) return Buffer.concat([Buffer.from([LIST + 1, 0, 0, 0, 1]), text(blob), text(Buffer.of())]);
    if (message[0] !== SIGN) return Buffer.from([5]);
    const at = 5 + message.readUInt32BE(1);
    const data = message.subarray(at + 4, at + 4 + message.readUInt32BE(at));
    return Buffer.concat([Buffer.from([SIGN + 1]), text(key.sign(data, flags))]);
  };
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    let held = Buffer.alloc(0);
    clients.add(client);
    client.on("error", () => undefined);
    client.on("data", (part: Buffer) => {
      held = Buffer.concat([held, part]);
      while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
        const end = 4 + held.readUInt32BE(0);
        client.write(text(answer(held.subarray(4, end))));
        held = held.subarray(end);
      }
    });
  });
  server.listen(path);
  await once(server, "listening");
  return () => {
    for (const client of clients) client.destroy();
    server.close();
  };
}

/** Bytes behind their length in four bytes (RFC 4251, 5: string). */
function text(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A positive number without needless zeros at its beginning (RFC 4251, 5: mpint). */
function mpint(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const bare = bytes.subarray(first);
  return Number(bare[0]) > 127 ? Buffer.concat([Buffer.from([0]), bare]) : bare;
}

function hash(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}
