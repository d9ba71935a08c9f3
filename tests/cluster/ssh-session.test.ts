import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findSshServerLack, openSshServer, type SshServerFixture } from "./ssh-server-fixture.ts";

const lack = findSshServerLack();

describe("a session of the tools image's SSH server", () => {
  if (lack !== undefined) {
    it("needs dropbear, busybox, bubblewrap and the clients of OpenSSH", ({ skip }) => skip(lack));
    return;
  }
  let server: SshServerFixture;

  beforeAll(async () => {
    server = await openSshServer("PROGRAMS:/usr/bin:/bin", { python: "#!/bin/sh\necho the python of the image\n" });
  });

  afterAll(() => server?.close());

  it("has the PATH and the variables of the image, and shows no variable of Berth's own", async () => {
    const { code, stdout } = await server.ssh('python; echo "$PATH $GREETING"; env | grep -c BERTH');

    expect(stdout).toBe("the python of the image\n/mnt/programs:/usr/bin:/bin hello\n0\n");
    expect(code).toBe(1);
  });

  it("has that PATH in a terminal too, whatever a profile sets", async () => {
    writeFileSync(server.home(".profile"), "PATH=/nowhere\n");
    const words = ["-tt", "-p", server.port, ...server.options, server.address];
    const { code, stdout } = await server.run("ssh", words, { text: "python; exit 4\n", ends: false });

    expect(stdout).toContain("the python of the image");
    expect(code).toBe(4);
  });

  it("ends with the code of its command, which gets its exact line and starts in the home directory", async () => {
    writeFileSync(server.home(".bashrc"), "echo noise\n");
    const { code, stdout } = await server.ssh(
      `printf '%s|' "$SHELL" "$PWD" "$(umask)" 'a  b' /usr/libexec/sftp-server; exit 7`,
    );

    expect(stdout).toMatch(/^\S+\/bash\|\/mnt\/home\|0022\|a {2}b\|\/usr\/libexec\/sftp-server\|$/);
    expect(code).toBe(7);
  });

  it("copies files and directories by scp of OpenSSH 9, with modes and times", async () => {
    mkdirSync(server.file("data/deep"), { recursive: true });
    const bytes = randomBytes(3_000_001);
    writeFileSync(server.file("data/deep/weights é ' $x"), bytes, { mode: 0o640 });
    const scp = ["-P", server.port, ...server.options, "-s", "-rp"];

    const up = await server.run("scp", [...scp, server.file("data"), `${server.address}:up`]);
    const down = await server.run("scp", [...scp, `${server.address}:~/up`, server.file("back")]);
    const missing = await server.run("scp", [...scp, `${server.address}:none`, server.file("none")]);

    expect([up, down]).toEqual(Array(2).fill({ code: 0, stdout: "", stderr: "" }));
    expect(readFileSync(server.file("back/deep/weights é ' $x")).equals(bytes)).toBe(true);
    const [before, after] = ["data", "back"].map((name) => statSync(server.file(`${name}/deep/weights é ' $x`)));
    expect([after?.mode, Math.trunc(Number(after?.mtimeMs) / 1000)]).toEqual([
      before?.mode,
      Math.trunc(Number(before?.mtimeMs) / 1000),
    ]);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("No such file or directory") });
  });

  it("supports over SFTP all operations of sftp", async () => {
    writeFileSync(server.file("note"), "mine\n");
    const batch = [
      ["mkdir box", `put ${server.file("note")} box/first`, "chmod 600 box/first", "rename box/first box/second"],
      ["ln -s second box/link", "ls -1 box", "df box", "rm box/link", "pwd", `get box/second ${server.file("again")}`],
    ];
    const words = ["-P", server.port, ...server.options, "-b", "-", server.address];
    const { code, stdout } = await server.run("sftp", words, { text: `${batch.flat().join("\n")}\n`, ends: true });

    expect(code).toBe(0);
    expect(stdout).toContain("box/link");
    expect(stdout).toContain("Remote working directory: /mnt/home");
    expect(readFileSync(server.file("again"), "utf8")).toBe("mine\n");
    expect(statSync(server.home("box/second")).mode & 0o777).toBe(0o600);
    expect(() => readlinkSync(server.home("box/link"))).toThrow("ENOENT");
  });

  it("forwards connections and the agent", async () => {
    const listener = createServer((socket) => socket.end("from the environment\n")).listen(0, "127.0.0.1");
    await once(listener, "listening");
    const to = `127.0.0.1:${(listener.address() as { port: number }).port}`;
    const line = ["ssh", "-p", server.port, ...server.options];

    const passed = await server.run("ssh", [...line.slice(1), "-W", to, server.address], { text: "", ends: false });
    const add = 'ssh-add -q "$1" && shift && exec "$@"';
    const agent = ["sh", "-c", add, "sh", server.file("key"), ...line, "-A", server.address, "ssh-add -l"];
    const listed = await server.run("ssh-agent", agent);
    listener.close();

    expect(passed.stdout).toBe("from the environment\n");
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining("ED25519") });
  });
});

describe("a session in an image without bash, sh and scp", () => {
  if (lack !== undefined) {
    it("needs dropbear, busybox, bubblewrap and the clients of OpenSSH", ({ skip }) => skip(lack));
    return;
  }
  let server: SshServerFixture;

  beforeAll(async () => {
    server = await openSshServer("PROGRAMS", {});
  });

  afterAll(() => server?.close());

  it("has the shell of the tools image", async () => {
    expect(await server.ssh('echo "$SHELL $0"; exit 3')).toEqual({
      code: 3,
      stdout: "/mnt/tools/sh /mnt/tools/sh\n",
      stderr: "",
    });
  });

  it("copies by the old protocol of scp, and by SFTP", async () => {
    writeFileSync(server.file("note"), "mine\n");
    const scp = ["-P", server.port, ...server.options];

    const old = await server.run("scp", [...scp, "-O", server.file("note"), `${server.address}:old`]);
    const sftp = await server.run("scp", [...scp, "-s", server.file("note"), `${server.address}:new`]);

    expect([old, sftp]).toEqual(Array(2).fill({ code: 0, stdout: "", stderr: "" }));
    expect(["old", "new"].map((name) => readFileSync(server.home(name), "utf8"))).toEqual(["mine\n", "mine\n"]);
  });
});
