import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect as dial } from "node:net";
import { join } from "node:path";
import ssh2, {
  type BaseAgent,
  type ClientChannel,
  type IdentityCallback,
  type ParsedKey,
  type SignCallback,
} from "ssh2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startHomeSsh } from "#local/home-ssh.ts";
import { sandboxPorts } from "#local/sandbox/sandbox-ports.ts";
import { eventually, findPids, lacks, listProcesses } from "#process/fixture.ts";
import { findFreePorts } from "#process/network/local-ports.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { newSshKey } from "./login/ssh-keys.ts";
import { exec, openSshFixture, type SshFixture, said } from "./ssh-fixture.ts";

/** Internals of ssh2, for a client that violates the protocol. */
interface RawClient {
  readonly _protocol: { channelWindowAdjust(channel: number, bytes: number): void };
  readonly _sock: { pause(): void };
}

interface RawChannel {
  readonly outgoing: { readonly id: number };
}

describe.each(["bubblewrap", "none"] as const)("ssh into a run, isolation %s", (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has none that works"));
    return;
  }

  let fixture: SshFixture;
  const served = () => ({ home: fixture.home, ...sandboxPorts(fixture.home) });
  beforeEach(async () => {
    fixture = await openSshFixture(isolation);
  });
  afterEach(async () => {
    await fixture.close();
  });

  it("runs a command with its exit code, separate output streams and input", async () => {
    await fixture.begin();

    const answer = await fixture.say("cat; echo bad >&2; exit 7", "good");

    expect(answer).toEqual({ code: 7, signal: undefined, out: "good", err: "bad\n" });
  });

  it("shares directory, variables, files and processes with the run's own command", async () => {
    const env = { TOKEN: "it's $HOME\n`x`", GREETING: "hello" };
    await fixture.begin({ command: "echo here > file; exec sleep 3613", env });

    const { out } = await fixture.say(
      'cat "$HOME/file"; pwd; printf "%s|" "$TOKEN" "$GREETING" "$BERTH_RUN"; env | grep -c __berth_',
    );

    const run = `${fixture.uid}-r1`;
    const work = `${fixture.directory}/0/work`;
    expect(out).toBe(`here\n${work}\n${env.TOKEN}|hello|${run}|0\n`);
    if (isolation === "bubblewrap") {
      expect((await fixture.say("tr '\\0' ' ' < /proc/2/cmdline")).out).toContain("sleep 3613");
    }
  });

  if (isolation === "bubblewrap") {
    it("has no more rights than the run: no capability, no access to the stack's home", async () => {
      await fixture.begin();

      const { out } = await fixture.say(
        `grep -h -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status; umount /tmp || echo kept; ls ${fixture.home}/runs; ls ${fixture.home}`,
      );

      const none = "0".repeat(16);
      expect(out).toContain(`CapEff:\t${none}`);
      expect(out).toContain("NoNewPrivs:\t1");
      expect(out).toContain("kept");
      expect(out).toContain(`${fixture.uid}-r1\n`);
      expect(out).not.toContain("ssh-host-key");
      expect(out).not.toContain("access.json");
    });
  }

  it("starts a shell in a terminal of the requested size, which can be changed", async () => {
    await fixture.begin();
    const client = await fixture.connect();
    const shell = await new Promise<ClientChannel>((resolve, reject) => {
      client.shell({ term: "vt100", cols: 91, rows: 17 }, (error, channel) =>
        error ? reject(error) : resolve(channel),
      );
    });
    let seen = "";
    shell.on("data", (part: Buffer) => {
      seen += part.toString();
    });

    shell.write("stty size; test -t 0 && echo is-a-$TERM\n");
    await eventually(
      () => seen,
      (text) => text.includes("is-a-vt100\r"),
    );
    shell.setWindow(33, 120, 0, 0);
    shell.write("stty size; exit 3\n");
    const [code] = await once(shell, "exit");

    expect(seen).toContain("17 91\r");
    expect(seen).toContain("33 120\r");
    expect(code).toBe(3);
  });

  const getTerminal = async (command: string) => {
    const client = await fixture.connect();
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      client.exec(command, { pty: { term: "vt100" } }, (error, opened) => (error ? reject(error) : resolve(opened)));
    });
    let seen = "";
    channel.on("data", (part: Buffer) => {
      seen += part.toString();
    });
    const shown = (text: string) =>
      eventually(
        () => seen,
        (all) => all.includes(text),
      );
    return { client, channel, shown };
  };

  it("serves other clients while typed input is unread, and delivers it to a later reader", async () => {
    await fixture.begin();
    const { channel, shown } = await getTerminal(
      "stty raw -echo; echo ready; until [ -e go ]; do sleep 0.05; done; head -c 300000 | sha256sum",
    );
    await shown("ready");

    const typed = randomBytes(300_000);
    channel.write(typed);
    const otherEntry = await fixture.say("echo served; touch go");
    await shown(createHash("sha256").update(typed).digest("hex"));

    expect(otherEntry.out).toBe("served\n");
  });

  it("hangs up a terminal whose client disconnects with unread input", async () => {
    await fixture.begin();
    const { client, channel, shown } = await getTerminal("stty raw -echo; echo ready; sleep 3627");
    await shown("ready");
    channel.write(randomBytes(300_000));
    await fixture.say("true");

    client.end();

    await eventually(
      () => findPids(fixture, "sleep 3627"),
      ({ length }) => length === 0,
    );
  });

  it("cuts off a client that announces an unlimited window and reads nothing", async () => {
    await fixture.begin();
    const client = await fixture.connect();
    const channel = await exec(client, "echo ready; exec cat /dev/zero");
    await once(channel, "data");
    const { _protocol: protocol, _sock: socket } = client as unknown as RawClient;

    protocol.channelWindowAdjust((channel as unknown as RawChannel).outgoing.id, 2 ** 31);
    socket.pause();

    await eventually(
      () => findPids(fixture, "cat /dev/zero"),
      ({ length }) => length === 0,
    );
  });

  it("leaks no terminal to programs that other users start", async () => {
    await fixture.begin();
    const { shown } = await getTerminal("echo ready; sleep 3628");
    await shown("ready");

    const files = "for file in /proc/self/fd/*; do readlink $file; done";
    const command = await fixture.say(files);
    const { shown: shownToo } = await getTerminal(`${files}; echo all of them`);
    const terminal = await shownToo("all of them");

    expect(`${command.out}${terminal}`).not.toContain("ptmx");
  });

  it("names the terminal, passes interrupts on, and hangs up its programs", async () => {
    await fixture.begin({ env: { SHELL: "/no/such/shell" } });
    const client = await fixture.connect();
    const shell = await new Promise<ClientChannel>((resolve, reject) => {
      client.shell({ term: "vt100" }, (error, channel) => (error ? reject(error) : resolve(channel)));
    });
    let seen = "";
    shell.on("data", (part: Buffer) => {
      seen += part.toString();
    });
    const shown = (text: string) =>
      eventually(
        () => seen,
        (all) => all.includes(text),
      );

    shell.write('echo "begun $SHELL"\n');
    await shown("begun /no/such/shell\r");
    shell.write('echo "at $(tty)"; echo said >/dev/tty; echo "interrupt $((1 + 1))"; sleep 3625\n');
    await shown("interrupt 2\r");
    await eventually(
      () => findPids(fixture, "sleep 3625"),
      ({ length }) => length === 1,
    );
    shell.write("\x03");
    shell.write('echo "ended $?"; sleep 3626\n');
    await shown("ended 130\r");
    await eventually(
      () => findPids(fixture, "sleep 3626"),
      ({ length }) => length === 1,
    );
    client.destroy();
    await eventually(
      () => [...findPids(fixture, "sleep 3626"), ...findPids(fixture, "bash"), ...findPids(fixture, "-bash")],
      ({ length }) => length === 0,
    );

    expect(seen).toMatch(/at \/dev\/pts\/\d+\r/);
    expect(seen).toContain("said\r");
  });

  it("refuses other keys, other names, passwords and logins without credentials", async () => {
    await fixture.begin();

    await expect(fixture.connect({ privateKey: newSshKey().private })).rejects.toThrow("authentication methods failed");
    await expect(fixture.connect({ username: "gpu-dev-00000000" })).rejects.toThrow("authentication methods failed");
    await expect(fixture.connect({ username: "../.." })).rejects.toThrow("authentication methods failed");
    await expect(fixture.connect({ privateKey: "", password: "x" })).rejects.toThrow("authentication methods failed");
    await expect(fixture.connect({ privateKey: "" })).rejects.toThrow("authentication methods failed");
  });

  it("refuses a client that shows one key and signs with another", async () => {
    await fixture.begin();
    const agent = forger(fixture.key.public, newSshKey().private);

    await expect(fixture.connect({ privateKey: "", agent })).rejects.toThrow("authentication methods failed");

    expect(agent.signed()).toBe(1);
    const honest = forger(fixture.key.public, fixture.key.private);
    await fixture.connect({ privateKey: "", agent: honest });
    expect(honest.signed()).toBe(1);
  });

  it("keeps a run reachable when the SSH server restarts", async () => {
    await fixture.begin({ command: "echo kept > file; exec sleep 3623" });
    const later = await startHomeSsh({ ...served(), port: 0, log: silentLog() });

    const answer = await said(await exec(await fixture.connect({ port: later.port }), "cat file"));
    await later.stop();

    expect(answer.out).toBe("kept\n");
  });

  it("stops although a client never closes its end", async () => {
    const otherServer = await startHomeSsh({ ...served(), port: 0, log: silentLog() });
    const suspended = dial({ port: otherServer.port, host: "127.0.0.1", allowHalfOpen: true });
    await once(suspended, "data");
    suspended.pause();

    await otherServer.stop();

    suspended.destroy();
    await expect(
      startHomeSsh({ ...served(), port: otherServer.port, log: silentLog() }).then((again) => again.stop()),
    ).resolves.toBeUndefined();
  });

  it("reports a configured port that is in use, and takes another port if none is configured", async () => {
    const { port } = fixture.server;
    const options = { ...served(), log: silentLog() };

    await expect(startHomeSsh({ ...options, port })).rejects.toThrow(`Port ${port} is in use`);
    writeFileSync(join(fixture.home, "ssh-port"), String(port));
    const otherServer = await startHomeSsh({ ...options, port: undefined });
    await otherServer.stop();

    expect(otherServer.port).not.toBe(port);
    expect(readFileSync(join(fixture.home, "ssh-port"), "utf8")).toBe(String(otherServer.port));
  });

  it("keeps the keys of two jobs separate", async () => {
    await fixture.begin();
    const otherEntry = { login: "gpu-dev-0badcafe", keys: [newSshKey()] };
    await fixture.compute.apply(fixture.runOf({ run: 2, command: undefined }));
    const [key] = otherEntry.keys;
    const access = { revision: 1, login: otherEntry.login, keys: [key?.public ?? ""], jupyter: null };
    await eventually(
      () => fixture.compute.observe(fixture.uid, 2),
      (seen) => seen?.state === "ready",
    );
    await fixture.compute.setAccess(fixture.uid, 2, access);

    await expect(fixture.connect({ username: otherEntry.login })).rejects.toThrow("authentication methods failed");
    await expect(fixture.connect({ privateKey: key?.private ?? "" })).rejects.toThrow("authentication methods failed");
    const client = await fixture.connect({ username: otherEntry.login, privateKey: key?.private ?? "" });
    expect((await said(await exec(client, "echo $BERTH_RUN"))).out).toBe(`${fixture.uid}-r2\n`);
  });

  it("forwards ports to the environment's loopback and nowhere else", async () => {
    const node = isolation === "none" ? process.execPath : join(fixture.home, "tools/node");
    const [port = 0, sixth = 0] = await findFreePorts(2);
    writeFileSync(join(fixture.shown, "serve.cjs"), greeting);
    await fixture.begin({ command: `exec ${node} ${join(fixture.shown, "serve.cjs")} ${port} ${sixth}` });
    const client = await fixture.connect();
    const forward = (host: string, to: number) =>
      new Promise<ClientChannel>((resolve, reject) => {
        client.forwardOut("127.0.0.1", 1, host, to, (error, channel) => (error ? reject(error) : resolve(channel)));
      });

    const first = await eventually(
      () => forward("localhost", port).catch(() => undefined),
      (channel) => channel !== undefined,
    );
    const answers = [first, await forward("127.0.0.1", port), await forward("::1", sixth)];
    const heard = await Promise.all(answers.map((channel) => channel && said(channel, "and you")));

    expect(heard.map((answer) => answer?.out)).toEqual(answers.map(() => "who is there? and you"));
    for (const host of ["example.com", "169.254.169.254", "0.0.0.0", ""]) {
      await expect(forward(host, port)).rejects.toThrow("Channel open failure");
    }
    await expect(forward("127.0.0.1", 1)).rejects.toThrow("Channel open failure");
  });

  if (isolation === "bubblewrap") {
    it("forwards to no port of the machine if the environment has its own network", async ({ skip }) => {
      const lacking = lacks("own");
      if (lacking) return skip(lacking);
      await fixture.begin();
      const server = createServer((_, response) => response.end("outside")).listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const client = await fixture.connect();

      const attempts = [port, fixture.server.port].map(
        (to) => new Promise((resolve) => client.forwardOut("127.0.0.1", 1, "127.0.0.1", to, resolve)),
      );
      const refusals = await Promise.all(attempts);
      server.close();

      expect(refusals.map(String)).toEqual(refusals.map(() => expect.stringContaining("Channel open failure")));
    });
  }

  it("ends its sessions with the run and refuses later logins", async () => {
    await fixture.begin();
    const client = await fixture.connect();
    const closed = once(client, "close");
    const channel = await exec(client, "setsid sleep 3617 & sleep 3617");
    const over = said(channel);
    await eventually(
      () => listProcesses(fixture.home, fixture.uid).length,
      (count) => count >= 4,
    );

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 1, force: false });

    await over;
    await closed;
    await eventually(
      () => listProcesses(fixture.home, fixture.uid),
      (pids) => pids.length === 0,
    );
    await expect(fixture.connect()).rejects.toThrow("authentication methods failed");
  });

  it("ends a connection whose key is removed", async () => {
    await fixture.begin();
    const client = await fixture.connect();
    const closed = once(client, "close");

    await fixture.compute.setAccess(fixture.uid, 1, { revision: 1, login: fixture.login, keys: [], jupyter: null });

    await closed;
    await expect(fixture.connect()).rejects.toThrow("authentication methods failed");
  });

  it("hangs up processes that a client leaves behind", async () => {
    await fixture.begin();
    const client = await fixture.connect();
    const before = listProcesses(fixture.home, fixture.uid).length;
    await exec(client, "sleep 3619");
    await eventually(
      () => listProcesses(fixture.home, fixture.uid).length,
      (count) => count > before,
    );

    client.destroy();

    await eventually(
      () => listProcesses(fixture.home, fixture.uid).length,
      (count) => count <= before,
    );
  });

  it("serves a hundred sessions at once", async () => {
    await fixture.begin();

    const clients = await Promise.all(Array.from({ length: 100 }, () => fixture.connect()));
    const channels = await Promise.all(clients.map((client, n) => exec(client, `read line; echo $line ${n}`)));
    const answers = await Promise.all(channels.map((channel) => said(channel, "hello\n")));

    expect(answers.map(({ out }) => out)).toEqual(answers.map((_, n) => `hello ${n}\n`));
  });

  it("listens only on the loopback address", async () => {
    const socket = dial(fixture.server.port, "127.0.0.2");

    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];

    expect(error.code).toBe("ECONNREFUSED");
  });
});

/** Servers that speak first and echo their input at its end, on 127.0.0.1 and ::1. */
const greeting = `
  const { createServer } = require("node:net");
  for (const [n, host] of ["127.0.0.1", "::1"].entries()) {
    createServer({ allowHalfOpen: true }, async (socket) => {
      socket.write("who is there? ");
      for await (const part of socket) socket.write(part);
      socket.end();
    }).listen(Number(process.argv[2 + n]), host);
  }
`;

/** An agent that shows one key and signs with another; ssh2 knows agents by their prototype. */
function forger(shown: string, ownName: string) {
  const [identity, signer] = [shown, ownName].map((text) => ssh2.utils.parseKey(text) as ParsedKey);
  let signed = 0;
  return Object.assign(Object.create(ssh2.BaseAgent.prototype) as BaseAgent, {
    getIdentities: (done: IdentityCallback<ParsedKey>) => done(undefined, identity ? [identity] : []),
    sign: (_key: unknown, data: Buffer, _options: unknown, done: SignCallback) => {
      signed += 1;
      done(undefined, signer?.sign(data));
    },
    signed: () => signed,
  });
}
