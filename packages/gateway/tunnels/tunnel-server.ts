import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";

/** Connections from images/tools/tunnel, each of which the gateway has asked a run for. */
export interface TunnelServer {
  readonly server: Server;
  invite(): Invitation;
}

export interface Invitation {
  /** Line for the standard input of the program. It has a secret. */
  readonly line: string;
  /** Resolves once the program with this certificate is connected. */
  accept(fingerprint: string): Promise<TLSSocket>;
  cancel(): void;
}

const [NUMBER_BYTES, SECRET_BYTES] = [16, 32];
const GREET_WITHIN_MS = 5_000;
const KEEP_ALIVE_MS = 30_000;
/** Bounds of connections that have not said their number. A run can take no more than its own. */
const [MOST_WAITING, MOST_OF_ADDRESS] = [256, 8];

export function tunnelServer(): TunnelServer {
  const invited = new Map<string, (socket: Socket) => void>();
  const waiting = new Map<Socket, string>();
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) => {
    const address = socket.remoteAddress ?? "";
    const ofAddress = [...waiting.values()].filter((one) => one === address).length;
    socket.on("error", () => undefined);
    if (waiting.size >= MOST_WAITING || ofAddress >= MOST_OF_ADDRESS) return void socket.destroy();
    waiting.set(socket, address);
    void readNumber(socket).then((number) => {
      waiting.delete(socket);
      const take = invited.get(number ?? "");
      invited.delete(number ?? "");
      if (take) take(socket);
      else socket.destroy();
    });
  });
  return {
    server,
    invite() {
      const [number, secret] = [randomBytes(NUMBER_BYTES).toString("hex"), randomBytes(SECRET_BYTES)];
      const arrived = Promise.withResolvers<Socket>();
      arrived.promise.catch(() => undefined);
      invited.set(number, arrived.resolve);
      return {
        line: `${number} ${secret.toString("hex")}\n`,
        accept: async (fingerprint) => secure(await arrived.promise, fingerprint, secret),
        cancel: () => {
          invited.delete(number);
          arrived.reject(new Error("No connection arrived"));
          void arrived.promise.then((socket) => socket.destroy()).catch(() => undefined);
        },
      };
    },
  };
}

/** Returns undefined if the other side is silent. */
async function readNumber(socket: Socket): Promise<string | undefined> {
  const late = setTimeout(() => socket.destroy(), GREET_WITHIN_MS);
  try {
    for (;;) {
      const bytes = socket.read(NUMBER_BYTES) as Buffer | null;
      if (bytes) return bytes.length === NUMBER_BYTES ? bytes.toString("hex") : undefined;
      if (socket.readableEnded || socket.destroyed) return undefined;
      await Promise.race([once(socket, "readable"), once(socket, "close")]);
    }
  } catch {
    return undefined;
  } finally {
    clearTimeout(late);
  }
}

/** The program shows who it is by its certificate, and the gateway by the secret. The program is the server of TLS. */
async function secure(socket: Socket, fingerprint: string, secret: Buffer): Promise<TLSSocket> {
  // No authority signs certificates that live as long as one connection.
  const secured = connect({ socket, rejectUnauthorized: false, minVersion: "TLSv1.3" });
  const late = setTimeout(() => secured.destroy(new Error("The connection is silent")), GREET_WITHIN_MS);
  try {
    await once(secured, "secureConnect");
    const shown = secured.getPeerX509Certificate()?.raw;
    if (!shown || createHash("sha256").update(shown).digest("hex") !== fingerprint) {
      throw new Error("The connection is not of the program that was started");
    }
    secured.write(secret);
    return secured;
  } catch (error) {
    secured.on("error", () => undefined).destroy();
    throw error;
  } finally {
    clearTimeout(late);
  }
}
