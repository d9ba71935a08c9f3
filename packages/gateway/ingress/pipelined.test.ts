import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { type IngressFixture, openIngressFixture } from "./ingress-fixture.ts";

let fixture: IngressFixture;
/** Requests that the page has not answered, by path. */
let asked: Map<string, ServerResponse>;

beforeEach(async () => {
  fixture = await openIngressFixture({ checkMs: 1 });
  for (const label of ["one", "two"]) await fixture.environment(label);
  asked = new Map();
  fixture.serve((incoming, outgoing) => void asked.set(incoming.url ?? "", outgoing));
});
afterEach(() => fixture.close());

/** Sends one request to each label, by one connection, and waits until the page has all of them. */
async function sendAtOnce(...labels: string[]): Promise<Socket> {
  const socket = connect(fixture.port, "127.0.0.1").on("error", () => undefined);
  const heads = labels.map((label) => `GET /${label} HTTP/1.1\r\nHost: ${label}.preview.localhost`);
  socket.write(heads.map((head) => `${head}\r\nAuthorization: Bearer ${fixture.key}\r\n\r\n`).join(""));
  await expect.poll(() => [...asked.keys()].toSorted()).toEqual(labels.map((label) => `/${label}`));
  return socket.resume();
}

describe("two requests that a client sends at once", () => {
  it("are both checked, so the end of either environment closes their connection", async () => {
    const socket = await sendAtOnce("one", "two");
    await requestCancel(fixture.world.as("alice"), "one");

    const closed = once(socket, "close");
    fixture.world.clock.advance(5_001);
    await closed;

    expect(socket.destroyed).toBe(true);
  });

  it("both end at the page when their client leaves, and are logged", async () => {
    const socket = await sendAtOnce("one", "two");
    const closed = Promise.all([...asked.values()].map((outgoing) => once(outgoing, "close")));

    socket.destroy();
    await closed;

    await expect.poll(() => fixture.log.lines.filter(({ event }) => event === "page")).toHaveLength(2);
  });
});
