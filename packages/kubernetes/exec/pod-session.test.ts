import { afterEach, beforeEach, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { type ApiClient, apiClient } from "../client/api-client.ts";
import { type LoopbackServer, loopbackServer } from "../fixtures/loopback-fixture.ts";
import { openPodSession, type PodSession } from "./pod-session.ts";

const sockets = new WebSocketServer({ noServer: true });
let server: LoopbackServer;
let client: ApiClient;
let session: PodSession;
/** Commands of the pod that signal the session, and a function that ends one. */
let signals: { readonly name: string | undefined; end(): void }[];
let onSignal: () => void;

beforeEach(async () => {
  signals = [];
  onSignal = () => undefined;
  server = await loopbackServer(
    (_, response) => response.end(),
    {},
    (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (stream: WebSocket) => {
        const words = new URL(request.url ?? "", "https://pod").searchParams.getAll("command");
        if (words.at(-1) === "sleep") return stream.send("\u000142\n");
        const end = () => stream.send('\u0003{"status":"Success"}', () => stream.close());
        signals.push({ name: words.at(-2), end });
        onSignal();
      }),
  );
  client = apiClient(server.access);
  session = await openPodSession(client, { pod: "/pods/a", container: "main" }, { words: ["sleep"], env: {} });
});
afterEach(async () => {
  client.close();
  await server.close();
});

const nextSignal = () =>
  new Promise<void>((resolve) => {
    onSignal = resolve;
  });

it("a flood of signals is sent one by one, and each kind waits once", async () => {
  const begun = nextSignal();
  const sent = [session.signal("SIGUSR1")];
  await begun;

  for (let n = 0; n < 1_000; n += 1) sent.push(session.signal("SIGUSR1"), session.signal("SIGTERM"));
  onSignal = () => signals.at(-1)?.end();
  const atOnce = signals.length;
  signals[0]?.end();
  await Promise.all(sent);

  expect([atOnce, ...signals.map(({ name }) => name)]).toEqual([1, "USR1", "USR1", "TERM"]);
});

it("signals that wait at the hang-up of a session are not sent", async () => {
  const begun = nextSignal();
  const sent = [session.signal("SIGUSR1"), session.signal("SIGTERM")];
  await begun;

  onSignal = () => signals.at(-1)?.end();
  const closed = session.close();
  signals[0]?.end();
  await Promise.all([...sent, closed]);

  expect(signals.map(({ name }) => name)).toEqual(["USR1", "HUP"]);
});
