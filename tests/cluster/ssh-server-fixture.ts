import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toolsPath, toolsSources } from "../../scripts/images/tools-programs.ts";
import type { Answer } from "./container/supervisor-fixture.ts";

const DROPBEAR = "/usr/sbin/dropbear";
/** Directory of the keys. Dropbear trusts none below a directory that others may write to, such as `/tmp`. */
const PLACE = "/mnt";
/** Directories with this machine's sftp-server, hidden so that only the one of the tools image can answer. */
const hidden = ["/usr/lib/openssh"]
  .filter((directory) => existsSync(directory))
  .flatMap((directory) => ["--tmpfs", directory]);
const sandbox = ["--die-with-parent", "--dev-bind", "/", "/", "--cap-add", "ALL", "--tmpfs", PLACE, ...hidden];

/** SSH server of the tools image as a plain process, with Debian's dropbear and busybox. */
export interface SshServerFixture {
  /** Returns the path of a file in the login's home directory, as this process sees it. */
  readonly home: (name: string) => string;
  /** Returns the path of a file beside it. */
  readonly file: (name: string) => string;
  readonly address: string;
  /** Options of every client except the port. */
  readonly options: readonly string[];
  readonly port: string;
  /** Starts a client of OpenSSH. Without a given input, its stdin stays open until it ends. */
  run(
    program: string,
    words: readonly string[],
    input?: { readonly text: string; readonly ends: boolean },
  ): Promise<Answer>;
  ssh(...words: string[]): Promise<Answer>;
  close(): Promise<void>;
}

/** Returns what this machine lacks for such a fixture; undefined if nothing. */
export function findSshServerLack(): string | undefined {
  for (const file of [DROPBEAR, "/usr/bin/dropbearkey", "/usr/bin/ssh", "/usr/bin/sftp", "/usr/bin/scp"]) {
    if (!isProgram(file)) return `this machine has no ${file}`;
  }
  if (!findBusybox()) return "this machine has no busybox";
  const canMount = spawnSync("bwrap", [...sandbox, "true"], { stdio: "ignore" }).status === 0;
  return canMount ? undefined : "this machine has no bubblewrap that works";
}

/** Starts the server. `path` is the image's PATH, in which `PROGRAMS` stands for a directory with these scripts. */
export async function openSshServer(
  path: string,
  programs: Readonly<Record<string, string>>,
): Promise<SshServerFixture> {
  const root = await mkdtemp(join(tmpdir(), "berth-ssh-server-"));
  const file = (name: string) => join(root, name);
  for (const name of ["tools", "home", "home/.ssh", "programs"]) mkdirSync(file(name), { mode: 0o700 });
  await layOutTools(file("tools"));
  for (const [name, text] of Object.entries(programs)) writeFileSync(file(`programs/${name}`), text, { mode: 0o755 });
  for (const name of ["passwd", "shells"]) copyFileSync(`/etc/${name}`, file(name));
  spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file("key")], { stdio: "ignore" });
  writeFileSync(file("home/.ssh/authorized_keys"), readFileSync(file("key.pub")), { mode: 0o600 });
  const port = await freePort();
  const binds = [
    ...["tools", "home", "programs"].flatMap((name) => ["--bind", file(name), join(PLACE, name)]),
    ...["passwd", "shells"].flatMap((name) => ["--bind", file(name), `/etc/${name}`]),
  ];
  const service = [`${PLACE}/tools/busybox`, "sh", `${PLACE}/tools/ssh.sh`, "gpu-dev-1", port];
  const env = { HOME: `${PLACE}/home`, GREETING: "hello", PATH: path.replace("PROGRAMS", `${PLACE}/programs`) };
  const words = [...sandbox, ...binds, "env", "-i", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const server = spawn("bwrap", [...words, ...service], { stdio: ["ignore", "ignore", "pipe"] });
  await saysThatItListens(server.stderr);
  const settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR"];
  const options = ["-F", "/dev/null", "-i", file("key"), ...settings.flatMap((setting) => ["-o", setting])];
  const address = "gpu-dev-1@127.0.0.1";
  return {
    file,
    address,
    options,
    port,
    run,
    home: (name) => file(`home/${name}`),
    ssh: (...command) => run("ssh", ["-p", port, ...options, address, ...command], { text: "", ends: true }),
    close: async () => {
      const ended = once(server, "exit");
      server.kill();
      await ended;
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function layOutTools(to: string): Promise<void> {
  const built = await toolsPath(process.env);
  for (const name of ["session", "sftp-server"]) copyFileSync(join(built, name), join(to, name));
  copyFileSync(join(toolsSources, "ssh.sh"), join(to, "ssh.sh"));
  copyFileSync(findBusybox() ?? "", join(to, "busybox"));
  for (const name of ["dropbearkey", "scp"]) symlinkSync(`/usr/bin/${name}`, join(to, name));
  // Debian's dropbear may be older than the option -D (2025.87). Then the keys in the login's home count.
  writeFileSync(join(to, "dropbear"), `#!/bin/bash\nexec ${DROPBEAR} "\${@:1:$#-2}"\n`, { mode: 0o755 });
  mkdirSync(join(to, "access"), { mode: 0o700 });
}

function run(
  program: string,
  words: readonly string[],
  input: { readonly text: string; readonly ends: boolean } = { text: "", ends: true },
): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile(program, words, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.write(input.text);
    if (input.ends) child.stdin?.end();
  });
}

/** Resolves once dropbear reports that it listens. */
async function saysThatItListens(errors: NodeJS.ReadableStream): Promise<void> {
  let said = "";
  for await (const piece of errors) {
    said += piece;
    if (said.includes("Not backgrounding")) break;
  }
  if (!said.includes("Not backgrounding")) throw new Error(`The SSH server did not start: ${said}`);
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return String(port);
}

function findBusybox(): string | undefined {
  return ["/bin/busybox", "/usr/bin/busybox"].find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
