import type { ConnectPage } from "#gateway/ingress/page-connection.ts";
import { fullNotes } from "#gateway/ports/full-notes.ts";
import type { GatewayPorts } from "#gateway/ports/reach.ts";
import { boundReach, type streamBounds, streamPlaces } from "#gateway/ports/stream-places.ts";
import { startSsh } from "#gateway/ssh/ssh.ts";
import type { Runtime } from "#http/runtime.ts";
import { listen } from "./listen.ts";
import type { AllowsSource } from "./sources.ts";
import { startWeb } from "./web-server.ts";

export interface GatewayOptions extends GatewayPorts {
  readonly runtime: Runtime<"table">;
  /** A connection never leads to another run. So it may be used again. */
  readonly connect: ConnectPage;
  /** Private key in the form of OpenSSH. */
  readonly hostKey: string;
  readonly sshPort: number;
  readonly webPort: number;
  readonly isAllowed: AllowsSource;
  /** Bounds of open streams into environments. */
  readonly streams?: typeof streamBounds;
}

export interface Gateway {
  readonly sshPort: number;
  readonly webPort: number;
  /** Takes no new connections. Resolves when the open ones have ended. */
  drain(): Promise<void>;
  /** Closes all open connections at once. */
  stop(): Promise<void>;
}

/** Opens the SSH server and the web port. If one port cannot be opened, it closes the other one and throws. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { directory, connect, hostKey, sshPort, webPort, isAllowed } = options;
  const { log, clock } = options.runtime;
  const noteFull = fullNotes(log, clock.monotonic);
  const takeStream = streamPlaces(noteFull, options.streams);
  const reach = boundReach(options.reach, takeStream);
  // The gateway's role may not write keys (docs/architecture/gateway.md#the-program).
  const runtime = { ...options.runtime, readsKeysOnly: true } as const;
  let isReady = false;
  const web = await startWeb({
    runtime,
    connect,
    reach,
    takeStream,
    noteFull,
    port: webPort,
    isAllowed,
    isReady: () => isReady,
  });
  const ssh = await startSsh({
    directory,
    reach,
    hostKey,
    isAllowed,
    log,
    listen: (server) => listen(server, sshPort, "SSH_PORT"),
  }).catch(async (error: unknown) => {
    await web.stop();
    throw error;
  });
  isReady = true;
  return {
    sshPort: ssh.port,
    webPort: web.port,
    drain: async () => {
      isReady = false;
      await Promise.all([ssh.drain(), web.drain()]);
    },
    stop: async () => {
      isReady = false;
      await Promise.all([ssh.stop(), web.stop()]);
    },
  };
}
