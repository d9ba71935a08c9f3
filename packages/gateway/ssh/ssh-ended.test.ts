import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { noteEndedLogin } from "#process/exec/notices.ts";
import { exec, openSshFixture, type SshFixture, said } from "./ssh-fixture.ts";

let fixture: SshFixture;
beforeEach(async () => {
  fixture = await openSshFixture("none");
  const login = { login: fixture.login, keys: [fixture.key.public] };
  noteEndedLogin(fixture.home, login, { kind: "end", words: "The job has ended", at: Date.now() });
});
afterEach(() => fixture.close());

it("a connection into an ended environment allows ten sessions, and closes when its client requests another", async () => {
  const client = await fixture.connect();
  const closed = once(client, "close");

  const answers = [];
  for (let n = 0; n < 10; n += 1) answers.push(await said(await exec(client, "true")));
  const another = await exec(client, "true").then(
    () => "opened",
    () => "refused",
  );
  await closed;

  expect(answers).toEqual(answers.map(() => expect.objectContaining({ code: 255 })));
  expect(answers.every(({ err }) => err.includes("The job has ended"))).toBe(true);
  expect(another).toBe("refused");
});

it("beyond 50 connections into ended environments the oldest is dropped, so they lock out nobody", async () => {
  const [first, second] = [await fixture.connect(), await fixture.connect()];
  const dropped = once(first, "close");

  for (let n = 0; n < 49; n += 1) await fixture.connect();
  await dropped;

  expect((await said(await exec(second, "true"))).err).toContain("The job has ended");
});
