import { once } from "node:events";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, beforeEach, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { RunGone } from "#core/problem.ts";
import { environmentKey } from "#core/store/keys.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import { newActor } from "#tests/worlds/memory-world.ts";
import { type IngressFixture, openIngressFixture } from "./ingress-fixture.ts";
import type { ConnectPage, PagePlace } from "./page-connection.ts";

const LABEL = "box";
const HOST = `${LABEL}.preview.localhost`;

let fixture: IngressFixture;
let bearer: { authorization: string };
/** Streams into the run, none of which is a socket. */
let streams: Duplex[];
let places: PagePlace[];
let open: ConnectPage;

/** A stream as from the API server's port-forward: it has no timeout and no address of its own. */
const forward = (port: number): Duplex => {
  const socket = connect(port, "127.0.0.1");
  const stream = Duplex.from({ readable: socket, writable: socket }).setMaxListeners(20);
  stream.once("close", () => socket.destroy());
  return stream;
};
const begin = async (times: Parameters<typeof openIngressFixture>[0] = {}) => {
  [streams, places] = [[], []];
  const getPort = () => {
    const address = fixture.page.address();
    return typeof address === "object" ? (address?.port ?? 0) : 0;
  };
  open = async () => forward(getPort());
  const connectPage: ConnectPage = async (place) => {
    places.push(place);
    const stream = await open(place);
    streams.push(stream);
    return stream;
  };
  fixture = await openIngressFixture(times, { connect: connectPage });
  await fixture.environment(LABEL);
  bearer = { authorization: `Bearer ${fixture.key}` };
};
beforeEach(() => begin());
afterEach(() => fixture.close());

const get = (path = "/") => fixture.ask(HOST, { path, headers: bearer });
const closed = (stream: Duplex | undefined) =>
  new Promise<void>((resolve) => {
    if (!stream || stream.closed) resolve();
    else stream.once("close", resolve);
  });

it("asks for the run and its own port, whatever its address is outside", async () => {
  const item = await fixture.world.table.get(environmentKey(newActor("alice").uid, "gpu-dev", LABEL));

  const answer = await get();

  expect(answer).toMatchObject({ status: 200, body: "the page" });
  expect(places).toMatchObject([{ run: nameOfRun({ uid: String(item?.uid), run: 1 }), port: 8080 }]);
});

it("passes bodies on in both directions, and closes each stream after its answer", async () => {
  const large = "x".repeat(3_000_000);
  fixture.serve((incoming, outgoing) => void incoming.pipe(outgoing));

  const answers = [];
  for (const method of ["POST", "PUT"]) answers.push(await fixture.ask(HOST, { method, body: large, headers: bearer }));
  await Promise.all(streams.map(closed));

  expect(answers.map(({ status, body }) => [status, body === large])).toEqual(Array(2).fill([200, true]));
  expect(streams.length).toBe(2);
});

it.each([
  ["the run has ended", () => Promise.reject(new RunGone())],
  ["the cluster does not answer", () => Promise.reject(new Error("connect ETIMEDOUT"))],
  ["nothing listens at the port", async () => Duplex.from([])],
] as const)("answers that there is no answer if %s", async (_, failing) => {
  open = failing;

  const answer = await get();
  open = async () => forward((fixture.page.address() as { port: number }).port);

  expect([answer.status, (await get()).status]).toEqual([502, 200]);
});

it("gives up waiting for a stream, and closes one that comes later", async () => {
  await fixture.close();
  await begin({ answerMs: 100 });
  const late = new Duplex({ read: () => undefined, write: () => undefined });
  const { promise, resolve } = Promise.withResolvers<Duplex>();
  open = () => promise;

  const answer = await get();
  resolve(late);
  await closed(late);

  expect(answer.status).toBe(504);
});

it("closes a WebSocket and its stream when either side leaves, and after a time without messages", async () => {
  await fixture.close();
  await begin({ idleMs: 2_000 });
  const server = new WebSocketServer({ server: fixture.page });
  server.on("connection", (ws) => ws.on("message", (data) => ws.send(data)));
  const openSocket = async () => {
    const ws = new WebSocket(`ws://127.0.0.1:${fixture.port}/`, { headers: { host: HOST, ...bearer } });
    await once(
      ws.on("error", () => undefined),
      "open",
    );
    // A busy machine may close it before the test waits for that.
    return { ws, ended: once(ws, "close") };
  };
  const large = "x".repeat(1_000_000);

  const leaving = await openSocket();
  leaving.ws.send(large);
  const [echo] = await once(leaving.ws, "message");
  leaving.ws.terminate();
  await closed(streams[0]);
  const quiet = await openSocket();
  await Promise.all([quiet.ended, closed(streams[1])]);
  server.close();

  expect(String(echo) === large).toBe(true);
});
