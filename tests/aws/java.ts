import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { processServer, type TestServer } from "./test-server.ts";

/** A server of Maven Central, which is no part of an installation of Berth. */
export interface JavaServer {
  readonly group: string;
  readonly artifact: string;
  readonly version: string;
  /** The words after `java -cp …`, with where its jars are. */
  words(place: { readonly port: number; readonly jars: string }): readonly string[];
}

/** The variable of the environment that names a server that runs already. */
type ServerVariable = "TEST_DYNAMODB_URL" | "TEST_SQS_URL";

/** The server lives for a minute. Full optimization and parallel collections of garbage double its processor time. */
const lessCompiling = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/**
 * Starts the server on 127.0.0.1 and a free port, or uses the one that the variable names. Returns a string if
 * something is missing. The user's cache keeps its jars by version: BERTH_CACHE, else XDG_CACHE_HOME, else ~/.cache.
 */
export async function startJava(server: JavaServer, variable: ServerVariable): Promise<TestServer | string> {
  const running = process.env[variable];
  if (running) return { endpoint: running.replace(/\/+$/, ""), stop: async () => undefined };
  const jars = await installedJars(server);
  if (jars.path === undefined) return `${jars.missing}, and ${variable} names no server that runs already`;
  const port = await freePort();
  const words = [...lessCompiling, "-cp", `${jars.path}/*`, ...server.words({ port, jars: jars.path })];
  const child = spawn("java", words, { stdio: ["ignore", "ignore", "pipe"] });
  const endpoint = `http://127.0.0.1:${port}`;
  await answering(child, endpoint);
  return processServer(child, endpoint);
}

const run = promisify(execFile);
const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/** Limit for the downloads of an empty cache. */
const installedWithinMs = 100_000;

type Jars = { readonly path: string } | { readonly path?: never; readonly missing: string };

async function installedJars({ group, artifact, version }: JavaServer): Promise<Jars> {
  const { BERTH_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = join(BERTH_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "berth"), "java");
  const path = join(cache, `${artifact}-${version}`);
  if (!(await succeeds(run("java", ["-version"])))) return { missing: "there is no java on the PATH" };
  if (await succeeds(access(path))) return { path };
  if (!(await succeeds(run("mvn", ["--version"])))) return { missing: "there is no mvn (Maven) on the PATH" };
  await mkdir(cache, { recursive: true });
  const draft = await mkdtemp(`${path}.`);
  try {
    const pom = join(draft, "pom.xml");
    await writeFile(pom, getPom(`<groupId>${group}</groupId><artifactId>${artifact}</artifactId>`, version));
    const words = ["-q", "-B", "-f", pom, plugin, "-DincludeScope=runtime", `-DoutputDirectory=${draft}/jars`];
    await run("mvn", words, { timeout: installedWithinMs });
    // The second of two concurrent installations does nothing.
    await rename(join(draft, "jars"), path).catch(() => access(path));
    return { path };
  } catch (error) {
    const { stdout = "" } = error as { readonly stdout?: string };
    const [why = "it did not end in time"] = stdout.split("\n").filter((line) => line.startsWith("[ERROR]"));
    return { missing: `Maven could not install ${group}:${artifact}:${version} (${why.slice(0, 300)})` };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function getPom(dependency: string, version: string): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>berth.test</groupId><artifactId>server</artifactId><version>1</version>
  <dependencies><dependency>${dependency}<version>${version}</version></dependency></dependencies>
</project>`;
}

async function succeeds(doing: Promise<unknown>): Promise<boolean> {
  return doing.then(
    () => true,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Returns once it answers anything. */
async function answering(child: ChildProcess, endpoint: string): Promise<void> {
  let said = "";
  child.stderr?.on("data", (part) => {
    said = `${said}${part}`.slice(-2_000);
  });
  while (!(await succeeds(fetch(endpoint)))) {
    if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}: ${said}`);
    await sleep(100);
  }
}
