import { execFile } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { promisify } from "node:util";
import type { Client, ClientChannel } from "ssh2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, findPids } from "#process/fixture.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "../openssh-fixture.ts";
import { exec, said } from "../ssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("requests on a running session, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  let client: Client;
  beforeAll(async () => {
    fixture = await openOpenSshFixture(isolation);
    client = await fixture.connect();
  });
  afterAll(() => fixture.close());

  const ready = async (command: string): Promise<ClientChannel> => {
    const channel = await exec(client, command);
    await once(channel, "data");
    return channel;
  };

  it("pass a signal to the command, which may handle it and continue", async () => {
    const channel = await ready("trap 'echo usr1; exit 9' USR1; echo up; while :; do sleep 0.02; done");

    channel.signal("USR1");

    expect(await said(channel)).toMatchObject({ code: 9, out: "usr1\n" });
  });

  it.each(["INT", "TERM", "KILL"] as const)(
    "pass %s to all processes of the command, and report it as the cause of the end",
    async (name) => {
      const channel = await ready("seconds=3631; echo up; sleep $seconds; exit 1");
      // The gateway lists the processes of a sandboxed command, so one that starts meanwhile gets no signal.
      await eventually(
        () => findPids(fixture, "sleep 3631"),
        ({ length }) => length === 1,
      );

      channel.signal(name);

      // bubblewrap reports a signal as an exit code, like a shell.
      const isSandboxed = isolation === "bubblewrap";
      const end = isSandboxed ? { code: 128 + constants.signals[`SIG${name}`] } : { signal: `SIG${name}` };
      expect(await said(channel)).toMatchObject(end);
      await eventually(
        () => findPids(fixture, "sleep 3631"),
        ({ length }) => length === 0,
      );
    },
  );

  it("ignore unknown signals, and keep the session", async () => {
    const channel = await ready("echo up; cat");

    for (const name of ["NOSUCH", "", "SIGUSR1", "constructor"]) send(client, channel, "signal", getText(name));

    expect(await said(channel, "read")).toMatchObject({ code: 0, out: "read" });
  });

  it("are all answered: terminal requests are applied, and unknown ones are refused", async () => {
    const channel = await ready("echo up; cat");
    const names = ["window-change", "break", "x11-req", "keepalive@openssh.com", "shell", "env"];

    const answers = await Promise.all(names.map((type) => request(client, channel, type)));

    expect(answers).toEqual(["done", "refused", "refused", "refused", "refused", "refused"]);
    expect(await said(channel, "read")).toMatchObject({ code: 0, out: "read" });
  });

  it("lose nothing of two outputs that wait for a client that reads late", async () => {
    const output = "head -c 3000000 /dev/zero";
    const channel = await exec(client, `${output}; echo one >&2; touch said; ${output}; echo two >&2; exit 3`);
    // Each output is more than a client takes that does not read (2 MB), and less than it and the server take.
    await eventually(
      async () => (await said(await exec(client, "test -e said"))).code,
      (code) => code === 0,
    );

    const { code, out, err } = await said(channel);

    expect({ code, bytes: out.length, err }).toEqual({ code: 3, bytes: 6_000_000, err: "one\ntwo\n" });
  });

  it("accept standard error that comes after its client closed the channel", async () => {
    const channel = await exec(client, "trap '' HUP; echo $$ >pid; exec head -c 5000000 /dev/zero >&2");
    // A client that does not read takes this much; the rest waits in the server.
    await eventually(
      async () => channel.stderr.readableLength,
      (bytes) => bytes >= 2_000_000,
    );

    const closed = once(channel, "close");
    channel.close();
    channel.resume().stderr.resume();
    await closed;

    expect((await fixture.say("echo in")).out).toBe("in\n");
    await eventually(
      async () => (await fixture.say("kill -0 $(cat pid) || echo over")).out,
      (out) => out === "over\n",
    );
  });

  it("end a command whose client stops reading, as in `ssh box yes | head`", async () => {
    const script = `${fixture.sshLine} ${fixture.address} 'trap "" PIPE; yes; echo $? > ended' | head -1`;

    const { stdout } = await promisify(execFile)("/bin/sh", ["-c", script]);

    expect([stdout, (await fixture.say("cat ended")).out]).toEqual(["y\n", "1\n"]);
  });
});

/** Internals of ssh2 that its types lack: own requests with an answer. */
interface Internals {
  readonly _protocol: {
    readonly _packetRW: { readonly write: PacketWriter };
    readonly _cipher: { encrypt(packet: Buffer): void };
  };
}

interface PacketWriter {
  readonly allocStart: number;
  alloc(bytes: number): Buffer;
  finalize(packet: Buffer): Buffer;
}

interface RawChannel {
  readonly outgoing: { readonly id: number };
  readonly _callbacks: ((isRefused: boolean) => void)[];
}

/** Resolves with the server's answer to a request of which only the type is known. */
function request(client: Client, channel: ClientChannel, type: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { _callbacks: callbacks } = channel as unknown as RawChannel;
  callbacks.push((isRefused) => resolve(isRefused ? "refused" : "done"));
  send(client, channel, type, contents[type] ?? Buffer.alloc(0), true);
  return promise;
}

function send(client: Client, channel: ClientChannel, type: string, content: Buffer, wantsReply = false): void {
  const { _protocol: protocol } = client as unknown as Internals;
  const { write } = protocol._packetRW;
  const head = Buffer.from([CHANNEL_REQUEST, 0, 0, 0, (channel as unknown as RawChannel).outgoing.id]);
  const payload = Buffer.concat([head, getText(type), Buffer.from([wantsReply ? 1 : 0]), content]);
  const packet = write.alloc(payload.length);
  packet.set(payload, write.allocStart);
  protocol._cipher.encrypt(write.finalize(packet));
}

const CHANNEL_REQUEST = 98;

function getText(text: string): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);
}

const contents: Readonly<Record<string, Buffer>> = {
  "window-change": Buffer.alloc(16),
  "x11-req": Buffer.concat([Buffer.from([0]), getText("x"), getText("y"), Buffer.alloc(4)]),
  env: Buffer.concat([getText("LANG"), getText("C")]),
};
