import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { PassThrough } from "node:stream";
import { createSecureContext, TLSSocket } from "node:tls";
import { expect, it } from "vitest";
import { RunGone } from "#core/problem.ts";
import type { RunEntry } from "#kubernetes/access/run-entry.ts";
import type { PodSession, PodSessionRequest } from "#kubernetes/exec/pod-session.ts";
import { selfSigned } from "#kubernetes/fixtures/loopback-fixture.ts";
import { tunnelEntry } from "./tunnel-entry.ts";
import { tunnelServer } from "./tunnel-server.ts";

const { key, cert } = selfSigned();
const fingerprint = createHash("sha256").update(new X509Certificate(cert).raw).digest("hex");
const id = { uid: "0".repeat(32), run: 1 };
const request = { words: ["sh"], env: {} };

/** An entry whose pods behave as the test says, when the tunnel is started in them. */
async function openEntry(start: (port: number, line: string, session: PodSession) => void) {
  const { server, invite } = tunnelServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const requests: PodSessionRequest[] = [];
  const logged: unknown[] = [];
  const open: RunEntry["open"] = async (_, wanted) => {
    requests.push(wanted);
    const [input, output, errors] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const session = { input, output, errors, ended: new Promise<number>(() => undefined) } as unknown as PodSession;
    const opened = { ...session, close: async () => undefined };
    if (wanted.words[0]?.endsWith("/tunnel")) input.once("data", (line) => start(port, String(line), opened));
    return opened;
  };
  const note = (event: string, fields: object = {}) => void logged.push([event, fields]);
  const log = { info: note, warn: note, error: note };
  const entry = tunnelEntry(
    { open, dial: () => Promise.reject(new Error("No port")) },
    { invite, address: "a:1", log },
  );
  return { entry, requests, logged, server };
}

it("enters by the API server if the program ends its connection before it speaks the protocol", async () => {
  const { entry, requests, logged, server } = await openEntry((port, line, { output }) => {
    const socket = connect(port, "127.0.0.1").on("error", () => undefined);
    socket.write(Buffer.from(line.split(" ")[0] ?? "", "hex"));
    const secured = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ key, cert }) });
    secured.on("error", () => undefined).once("data", () => socket.resetAndDestroy());
    (output as PassThrough).write(`${fingerprint}\n`);
  });

  for (const _ of [1, 2]) await entry.open(id, request);

  expect(requests.map(({ words }) => words[0])).toEqual(["/.berth/tunnel", "sh", "sh"]);
  expect(logged).toEqual([["tunnel not opened", { run: expect.any(String), error: "tunnel: cut off" }]]);
  server.close();
});

it("says that a run has ended, and asks again the next time", async () => {
  const { server, invite } = tunnelServer();
  let calls = 0;
  const gone = async () => {
    calls += 1;
    throw new RunGone();
  };
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const entry = tunnelEntry({ open: gone, dial: gone }, { invite, address: "a:1", log });

  await expect(entry.open(id, request)).rejects.toThrow(RunGone);
  await expect(entry.dial(id, 80)).rejects.toThrow(RunGone);

  expect(calls).toBe(4);
  server.close();
});
