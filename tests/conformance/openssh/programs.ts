import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect } from "vitest";
import { freePort } from "../../fixtures/free-port.ts";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for programs that use an OpenSSH client. The run needs rsync, git and screen. */
export function programsConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  beforeEach(async () => {
    guest = await open();
  });
  afterEach(() => guest.close());

  test("rsync copies a tree in both directions, and nothing the second time", async () => {
    const [up, down] = [join(guest.root, "up"), join(guest.root, "down")];
    mkdirSync(join(up, "d"), { recursive: true });
    const bytes = randomBytes(1_000_000);
    writeFileSync(join(up, "d/big"), bytes);
    const rsync = (from: string, to: string) => guest.run("rsync", ["-a", "--stats", "-e", guest.sshLine, from, to]);

    const first = await rsync(`${up}/`, `${guest.address}:tree/`);
    const second = await rsync(`${up}/`, `${guest.address}:tree/`);
    const back = await rsync(`${guest.address}:tree/`, down);

    expect([first, second, back].map(({ code, err }) => [code, err])).toEqual(Array(3).fill([0, ""]));
    expect(first.out).toContain("regular files transferred: 1");
    expect(second.out).toContain("regular files transferred: 0");
    expect(readFileSync(join(down, "d/big")).equals(bytes)).toBe(true);
  });

  test("git clones from a run and pushes back", async () => {
    const clone = join(guest.root, "clone");
    const git = (...words: string[]) => guest.run("git", words, "", { ...ours, GIT_SSH_COMMAND: guest.sshLine });
    await guest.ssh([], "git init -q --bare work.git");

    await git("clone", "-q", `${guest.address}:work.git`, clone);
    await git("-C", clone, "commit", "-q", "--allow-empty", "-m", "one");
    const pushed = await git("-C", clone, "push", "-q", "origin", "HEAD");

    expect(pushed).toEqual({ code: 0, out: "", err: "" });
    expect((await guest.ssh([], "git -C work.git log --all --format=%s")).out).toBe("one\n");
  });

  test("screen keeps a session for the next client", async () => {
    const name = `kept-${guest.address.split("@")[0]}`;
    const until = (not = "") => `until ${not} screen -ls | grep ${name}; do sleep 0.1; done`;
    const begun = await guest.ssh(["-tt"], `screen -dmS ${name} sh -c 'exec cat'; ${until()}`);
    const found = await guest.ssh(["-tt"], `${until()}; screen -S ${name} -X quit; ${until("!")}`);

    expect([begun.out, found.out]).toEqual([expect.stringContaining(name), expect.stringContaining(name)]);
  });

  test("a shell without a terminal runs commands from its input, as VS Code does at its start", async () => {
    const words = [...guest.sshLine.split(" ").slice(1), "-T", "-D", String(await freePort()), guest.address, "bash"];

    const answer = await guest.run("ssh", words, "echo start\nuname -s\necho end $?\n");

    expect(answer).toEqual({ code: 0, out: "start\nLinux\nend 0\n", err: "" });
  });

  test("VS Code's server is unpacked, started, reached by SOCKS, and found again after a disconnect", async () => {
    const [server, inside, socks] = [guest.pathInside("vscode-server"), await freePort(), await freePort()];
    const [file, archive] = [join(guest.root, "server.sh"), join(guest.root, "server.tgz")];
    writeFileSync(file, guest.sockets.greet(String(inside), "the server"));
    await guest.run("tar", ["-czf", archive, "-C", guest.root, "server.sh"]);
    await guest.scp(archive, `${guest.address}:${server}.tgz`);
    const words = [...guest.sshLine.split(" ").slice(1), "-T", "-D", String(socks), guest.address, "bash"];

    const client = spawn("ssh", words, { stdio: ["pipe", "pipe", "inherit"] });
    const ended = once(client, "exit");
    client.stdin.write(startServer(server, inside));
    const begun = await printed(client.stdout, "end");
    const answer = await askBySocks(socks, inside);
    client.stdin.end();
    await ended;
    const again = await guest.run("ssh", words, `${startServer(server, inside)}kill "$(cat ${server}/pid)"\n`);

    expect(begun).toBe(`running\nstarted\nlisteningOn==${inside}==\nend\n`);
    expect(answer).toBe("the server");
    expect(again).toEqual({ code: 0, out: `running\nfound\nlisteningOn==${inside}==\nend\n`, err: "" });
  });
}

/** What VS Code's extension Remote-SSH writes to a shell, shortened: its server outlives the connection. */
const startServer = (folder: string, port: number) => `echo running
umask 077; mkdir -p ${folder}; cd ${folder}
if [ -f pid ] && kill -0 "$(cat pid)" 2>/dev/null; then echo found; else
  tar -xzf ${folder}.tgz
  nohup sh ./server.sh >log 2>&1 </dev/null &
  echo $! >pid
  until grep -q up log; do sleep 0.1; done
  echo started
fi
echo "listeningOn==${port}=="
echo end
`;

/** Returns what a program has printed once a line is this word. */
async function printed(output: Readable, last: string): Promise<string> {
  let text = "";
  for await (const part of output.iterator({ destroyOnReturn: false })) {
    text += part;
    if (text.endsWith(`${last}\n`)) return text;
  }
  throw new Error(`The output ended before "${last}": ${text}`);
}

/** Connects to a port of the run by SOCKS 4, and returns what it says after the proxy's reply of 8 bytes. */
async function askBySocks(proxy: number, port: number): Promise<string> {
  const socket = connect({ port: proxy, host: "127.0.0.1" });
  socket.write(Buffer.from([4, 1, port >> 8, port & 0xff, 127, 0, 0, 1, 0]));
  return (await buffer(socket)).subarray(8).toString();
}

/** Excludes the settings of the user who runs the tests. */
const ours = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  ...Object.fromEntries(
    ["AUTHOR", "COMMITTER"].flatMap((who) => [
      [`GIT_${who}_NAME`, "me"],
      [`GIT_${who}_EMAIL`, "me@laptop"],
    ]),
  ),
};
