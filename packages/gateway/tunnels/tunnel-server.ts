import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";

/** Accepts connections from images/tools/tunnel that the gateway has requested. */
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
const GREET_WITHIN_MS = 2_000;
const SECURE_WITHIN_MS = 5_000;
const KEEP_ALIVE_MS = 30_000;
/** Bounds of connections without a valid number yet. The bound per address keeps one pod from taking all places. */
const [MOST_WAITING, MOST_OF_ADDRESS] = [256, 8];

export function tunnelServer(): TunnelServer {
  const invitations = new Map<string, (socket: Socket) => void>();
  const waitingSockets = new Map<Socket, string>();
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) => {
    const address = socket.remoteAddress ?? "";
    const waitingOfAddress = [...waitingSockets.values()].filter((waiting) => waiting === address).length;
    socket.on("error", () => undefined);
    if (waitingOfAddress >= MOST_OF_ADDRESS) return void socket.destroy();
    // A correct program sends its number at once. The oldest connection has not, so drop it.
    if (waitingSockets.size >= MOST_WAITING) waitingSockets.keys().next().value?.destroy();
    waitingSockets.set(socket, address);
    void readNumber(socket).then((number) => {
      waitingSockets.delete(socket);
      const acceptSocket = invitations.get(number ?? "");
      invitations.delete(number ?? "");
      if (acceptSocket) acceptSocket(socket);
      else socket.destroy();
    });
  });
  return {
    server,
    invite() {
      const [number, secret] = [randomBytes(NUMBER_BYTES).toString("hex"), randomBytes(SECRET_BYTES)];
      const arrived = Promise.withResolvers<Socket>();
      arrived.promise.catch(() => undefined);
      invitations.set(number, arrived.resolve);
      return {
        line: `${number} ${secret.toString("hex")}\n`,
        accept: async (fingerprint) => secure(await arrived.promise, fingerprint, secret),
        cancel: () => {
          invitations.delete(number);
          arrived.reject(new Error("No connection arrived"));
          void arrived.promise.then((socket) => socket.destroy()).catch(() => undefined);
        },
      };
    },
  };
}

/** Returns undefined if the other side is silent. */
function readNumber(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timeout = setTimeout(() => socket.destroy(), GREET_WITHIN_MS);
    const read = () => {
      const bytes = socket.read(NUMBER_BYTES) as Buffer | null;
      if (!bytes) return;
      clearTimeout(timeout);
      socket.off("readable", read);
      resolve(bytes.toString("hex"));
    };
    socket.on("readable", read);
    socket.once("close", () => {
      clearTimeout(timeout);
      resolve(undefined);
    });
  });
}

/** Authenticates both sides: the program by its certificate, the gateway by the secret. The program is the TLS server. */
async function secure(socket: Socket, fingerprint: string, secret: Buffer): Promise<TLSSocket> {
  // The fingerprint identifies the certificate, so no authority has to sign it.
  const secured = connect({ socket, rejectUnauthorized: false, minVersion: "TLSv1.3" });
  const timeout = setTimeout(() => secured.destroy(new Error("The connection is silent")), SECURE_WITHIN_MS);
  try {
    await once(secured, "secureConnect");
    const certificate = secured.getPeerX509Certificate()?.raw;
    if (!certificate || createHash("sha256").update(certificate).digest("hex") !== fingerprint) {
      throw new Error("The connection is not of the program that was started");
    }
    secured.write(secret);
    return secured;
  } catch (error) {
    secured.on("error", () => undefined).destroy();
    throw error;
  } finally {
    clearTimeout(timeout);
  }
}
