import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type IngressFixture, openIngressFixture } from "./ingress-fixture.ts";

let fixture: IngressFixture;
const sockets = new Set<Socket>();

beforeEach(async () => {
  fixture = await openIngressFixture({ answerMs: 2_000 });
  await fixture.environment("box", { hasLogin: true });
  fixture.serve((incoming, outgoing) => {
    incoming.resume().once("end", () => outgoing.end("received"));
  });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await fixture.close();
});

const chunk = "1\r\nx\r\n";

/** Uploads a byte each 20 ms until its connection is closed. `end` completes the body. */
function upload(...headers: string[]) {
  const socket = connect(fixture.port, "127.0.0.1").on("error", () => undefined);
  sockets.add(socket);
  const head = ["POST / HTTP/1.1", "Host: box.preview.localhost", "Transfer-Encoding: chunked", "Connection: close"];
  socket.write(`${[...head, ...headers].join("\r\n")}\r\n\r\n`);
  const sending = setInterval(() => socket.write(chunk), 20);
  socket.once("data", () => clearInterval(sending)).once("close", () => clearInterval(sending));
  const end = () => {
    clearInterval(sending);
    socket.write("0\r\n\r\n");
  };
  let received = "";
  socket.on("data", (part) => {
    received += part;
  });
  // A byte on its way resets the connection after the answer, which is an error here.
  const answer = new Promise<string>((resolve) => socket.once("close", () => resolve(received)));
  return { answer, end };
}

it("refuses a slow upload of a visitor without a key, and accepts a slow one of the owner", async () => {
  const ofOwner = upload(`Authorization: Bearer ${fixture.key}`);
  const ofVisitor = upload();

  const refusal = await ofVisitor.answer;
  ofOwner.end();

  expect(refusal).toMatch(/^HTTP\/1.1 408 /);
  expect(refusal).toContain("Without a key, an upload must send 4 KiB a second.");
  expect(await ofOwner.answer).toMatch(/^HTTP\/1.1 200 /);
});
