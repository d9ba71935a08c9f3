import { once } from "node:events";
import type { Client, ClientChannel, ConnectConfig } from "ssh2";
import { afterEach, beforeEach, expect } from "vitest";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { exec, said } from "#gateway/ssh/ssh-fixture.ts";
import { eventually } from "#process/fixture.ts";
import { type LeftOut, testsExcept } from "./guest.ts";

/** An environment whose users get notices. Each method returns the words of its notice. */
export interface NoticeGuest {
  connect(changes?: ConnectConfig): Promise<Client>;
  /** Warns that the environment expires. */
  warn(): Promise<string>;
  /** Gives the environment more time. */
  extend(): Promise<string>;
  end(): Promise<string>;
  close(): Promise<void>;
}

export type OpenNoticeGuest = (options: { readonly hasDisk: boolean }) => Promise<NoticeGuest>;

/** A terminal with a shell in it. */
export interface ShownTerminal {
  readonly channel: ClientChannel;
  readonly closed: Promise<unknown>;
  /** Everything that was shown. */
  text(): string;
  shows(part: string): Promise<string>;
}

/** Conformance tests for what the users of an environment are told over SSH. */
export function noticesConformance(open: OpenNoticeGuest, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  const guests = new Set<NoticeGuest>();
  let guest: NoticeGuest;
  const begin = async (options: { readonly hasDisk: boolean }) => {
    guest = await open(options);
    guests.add(guest);
  };
  beforeEach(() => guests.clear());
  afterEach(async () => {
    for (const each of guests) await each.close();
  });
  const openTerminal = async () => openShownTerminal(await guest.connect());
  const say = async (command: string) => said(await exec(await guest.connect(), command));

  test("reach every open terminal once, and no output of a command", async () => {
    await begin({ hasDisk: false });
    const [first, second] = [await openTerminal(), await openTerminal()];

    const warning = `[berth] ${await guest.warn()}`;
    await Promise.all([first.shows(warning), second.shows(warning)]);
    await first.shows(`[berth] ${await guest.extend()}`);

    expect(first.text().split(warning)).toHaveLength(2);
    expect(await say("echo plain")).toMatchObject({ out: "plain\n", err: "" });
  });

  test("are repeated at a login while they are current", async () => {
    await begin({ hasDisk: true });
    await guest.warn();

    const warned = await openTerminal();
    await guest.extend();
    await warned.shows("[berth] Extended");
    const later = await openTerminal();

    expect(warned.text()).toMatch(/^\[berth\] Expires in \d+ minutes\r\n/);
    expect(later.text()).not.toContain("[berth]");
  });

  test("say why a terminal is closed when its environment ends", async () => {
    await begin({ hasDisk: false });
    const terminal = await openTerminal();

    const words = await guest.end();
    await terminal.closed;

    expect(terminal.text().split(`[berth] ${words}`)).toHaveLength(2);
  });

  test("are not shown when a user leaves a shell", async () => {
    await begin({ hasDisk: true });
    const terminal = await openTerminal();

    terminal.channel.write("exit\n");
    await terminal.closed;

    expect(terminal.text()).not.toContain("[berth]");
  });

  test("warn at a login, but not at a command, that files are lost without a disk", async () => {
    await begin({ hasDisk: false });

    const terminal = await openTerminal();

    const line = "[berth] No disk: files in $WORKSPACE and the home are lost when the environment ends\r\n";
    expect(terminal.text().startsWith(line)).toBe(true);
    expect(await say("echo plain")).toMatchObject({ out: "plain\n", err: "" });
  });

  test("tell a later login why the environment has ended, but only with an admitted key", async () => {
    await begin({ hasDisk: false });
    const words = await guest.end();

    const answer = await say("cat /etc/passwd");
    const client = await guest.connect();
    const forward = new Promise((resolve, reject) => {
      client.forwardOut("127.0.0.1", 1, "127.0.0.1", 22, (error) => (error ? reject(error) : resolve(undefined)));
    });

    expect(answer).toMatchObject({ code: 255, out: "" });
    expect(answer.err.startsWith(`[berth] ${words} (20`)).toBe(true);
    await expect(forward).rejects.toThrow();
    const stranger = guest.connect({ privateKey: newSshKey().private });
    await expect(stranger).rejects.toThrow("All configured authentication methods failed");
  });
}

/** Opens a shell in a terminal, and waits until it answers. */
export async function openShownTerminal(client: Client): Promise<ShownTerminal> {
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.shell({ term: "xterm" }, (error, shell) => (error ? reject(error) : resolve(shell)));
  });
  let text = "";
  channel.on("data", (part: Buffer) => {
    text += String(part);
  });
  const closed = once(channel, "close");
  channel.write("echo re$((40 + 2))dy\n");
  const shows = (part: string) =>
    eventually(
      () => text,
      (all) => all.includes(part),
    );
  await shows("re42dy");
  return { channel, closed, shows, text: () => text };
}
