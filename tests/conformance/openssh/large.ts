import { once } from "node:events";
import { join } from "node:path";
import type { Client } from "ssh2";
import { afterAll, beforeAll, expect } from "vitest";
import { exec, said } from "#gateway/ssh/ssh-fixture.ts";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

const KIB = 1024;

const terminals = [
  ["without a terminal", [], "\n"],
  ["in a terminal", ["-tt"], "\r\n"],
] as const;

/** Conformance tests for large requests of OpenSSH clients that share one connection. */
export function largeConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  /** Clients with these options open no connection, so all share the one that the first test would end. */
  let shared: string[];
  beforeAll(async () => {
    guest = await open();
    shared = ["-S", join(guest.root, "control"), "-o", "ProxyCommand=false"];
    const master = guest.stay(["-M", "-S", join(guest.root, "control")], "echo up; exec sleep 600");
    await once(master.stdout ?? master, "data");
  });
  afterAll(() => guest.close());

  /** Returns a command with this many bytes, in words short enough for a command line. */
  const getCommand = (bytes: number) => {
    const [begin, end] = ["echo begun;:", ";echo $?"];
    const filling = "x".repeat(bytes - begin.length - end.length - 2);
    return [begin, ...(filling.match(/.{1,60000}/g) ?? [])]
      .map((word, n) => (n > 1 ? word.slice(1) : word))
      .concat(end);
  };

  for (const [where, options, newline] of terminals)
    test(`run a command of almost 128 KiB ${where}`, async () => {
      const command = getCommand(128 * KIB - 64);

      const answer = await guest.ssh([...shared, ...options], ...command);

      expect(command.join(" ").length).toBe(128 * KIB - 64);
      expect(answer).toEqual({ code: 0, out: `begun${newline}0${newline}`, err: "" });
    });

  test("run a command of the maximum length of Linux", async () => {
    const answer = await guest.ssh(shared, ...getCommand(128 * KIB - 1));

    expect(answer).toEqual({ code: 0, out: "begun\n0\n", err: "" });
  });

  for (const [where, options, newline] of terminals)
    test(`run a command of 120 KiB of quotes ${where}`, async () => {
      const answer = await guest.ssh([...shared, ...options], `: "${"'".repeat(120 * KIB)}"; echo ran`);

      expect(answer).toEqual({ code: 0, out: `ran${newline}`, err: "" });
    });

  for (const bytes of [128 * KIB, 200_000])
    test(`refuse a command of ${bytes} bytes with a message, and keep the other sessions`, async () => {
      const answer = await guest.ssh(shared, ...getCommand(bytes));
      const next = await guest.ssh(shared, "echo still here");

      const words = `The command has ${bytes} bytes, and Linux takes at most 131071`;
      expect(answer).toEqual({ code: 255, out: "", err: expect.stringContaining(words) });
      expect(next).toEqual({ code: 0, out: "still here\n", err: "" });
    });

  const refusals: readonly [string, string[], string, object][] = [
    ["a variable of 100 KiB", ["-o", `SetEnv=LC_LONG=${"x".repeat(100 * KIB)}`], "echo ran", { code: 0, out: "ran\n" }],
    ["a subsystem of 100 KiB", ["-s"], "x".repeat(100 * KIB), { code: 255, out: "" }],
    ["a missing subsystem", ["-s"], "gopher", { code: 255, out: "" }],
  ];
  for (const [what, options, word, expected] of refusals)
    test(`refuse ${what}, and keep the other sessions`, async () => {
      const { code, out } = await guest.ssh([...shared, ...options], word);
      const next = await guest.ssh(shared, "echo still here");

      expect({ code, out }).toEqual(expected);
      expect(next).toEqual({ code: 0, out: "still here\n", err: "" });
    });

  const sent: readonly [string, (client: Client) => Promise<unknown>][] = [
    ["a command of 3,000,000 bytes", (client) => exec(client, "x".repeat(3_000_000)).then(said)],
    ["a command with a byte 0", (client) => exec(client, "echo a\0b").then(said)],
    ["a socket whose path has 100,000 bytes", (client) => forwardToSocket(client, `/${"x".repeat(100_000)}`)],
    ["a host whose name has 100,000 bytes", (client) => forward(client, "x".repeat(100_000))],
  ];
  for (const [what, ask] of sent)
    test(`refuse ${what} of a client that sends it`, async () => {
      const client = await guest.connect();
      const staying = await exec(client, "cat");

      const outcome = await ask(client).catch((error: Error) => error.message);
      const next = await said(staying, "still here");

      expect(outcome).toEqual(
        typeof outcome === "string"
          ? expect.stringContaining("Channel open failure")
          : { code: 255, signal: undefined, out: "", err: expect.stringMatching(/^The command (has|contains) /) },
      );
      expect(next.out).toBe("still here");
    });
}

function forward(client: Client, host: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.forwardOut("127.0.0.1", 1, host, 80, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}

function forwardToSocket(client: Client, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.openssh_forwardOutStreamLocal(path, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}
