import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { execTokens } from "./exec-credential.ts";
import { readKubeconfig } from "./kubeconfig.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-kubeconfig-"));
});

afterEach(() => rmSync(directory, { recursive: true }));

const server = "https://10.0.0.1:6443";
const environment = { PATH: process.env.PATH };

function read(text: string, context?: string) {
  const file = join(directory, "config");
  writeFileSync(file, text);
  return readKubeconfig({ file, context, environment });
}

/** A kubeconfig as kubectl writes it, with these lines of its cluster and user. */
function getConfig(cluster: readonly string[], user: readonly string[], current = "current-context: dev"): string {
  const lines = (all: readonly string[]) => all.map((line) => `      ${line}`);
  return [
    ...["apiVersion: v1", "kind: Config", current],
    ...["contexts:", "  - name: dev", "    context: {cluster: c, user: u, namespace: other}"],
    ...["clusters:", "  - name: c", "    cluster:", ...lines(cluster)],
    ...["users:", "  - name: u", "    user:", ...lines(user), "      {}"].filter(
      (line) => user.length === 0 || line !== "      {}",
    ),
  ].join("\n");
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("a kubeconfig", () => {
  it("gives a server, its authority and a client certificate, as data", async () => {
    const { access, context } = await read(
      getConfig(
        [`server: ${server}`, `certificate-authority-data: ${base64("the ca")}`, "tls-server-name: api"],
        [`client-certificate-data: ${base64("the cert")}`, `client-key-data: ${base64("the key")}`],
      ),
    );

    expect(context).toBe("dev");
    expect(access).toMatchObject({ url: server, ca: "the ca", cert: "the cert", key: "the key", servername: "api" });
    expect(await access.token()).toBeUndefined();
  });

  it("gives files beside it, and a token file that is read each time", async () => {
    for (const name of ["ca.crt", "token"]) writeFileSync(join(directory, name), `first ${name}\n`);
    const { access } = await read(
      getConfig([`server: ${server}`, "certificate-authority: ca.crt"], ["tokenFile: token"]),
    );

    const first = await access.token();
    writeFileSync(join(directory, "token"), "renewed");

    expect([access.ca, first, await access.token()]).toEqual(["first ca.crt\n", "first token", "renewed"]);
  });

  it("is read for a context other than its current one", async () => {
    const text = getConfig([`server: ${server}`], ["token: abc"], "current-context: gone");

    expect(await (await read(text, "dev")).access.token()).toBe("abc");
    await expect(read(text)).rejects.toThrow("no context gone; it has dev");
  });

  it.each([
    ["insecure-skip-tls-verify is refused", ["insecure-skip-tls-verify: true"], []],
    ["proxy-url is not supported", ["proxy-url: http://proxy"], []],
    ["auth-provider is not supported", [], ["auth-provider: {name: gcp}"]],
    ["a user name with a password is not supported", [], ["username: a", "password: hidden"]],
    ["impersonation (as) is not supported", [], ["as: root"]],
    ["cannot be read from", ["certificate-authority: missing.crt"], []],
    ["see users.0.user.token", [], ["token: {hidden: 1}"]],
  ])("is refused with a message: %s", async (words, cluster, user) => {
    const failed = await read(getConfig([`server: ${server}`, ...cluster], user)).catch(
      (error: Error) => error.message,
    );

    expect(failed).toContain(words);
    expect(failed).not.toContain("hidden");
  });

  it.each([
    ["it is not YAML", "token: [hidden"],
    ["it is not a kubeconfig", "hidden"],
    ["no current-context; set KUBE_CONTEXT to one of dev", getConfig([`server: ${server}`], [], "preferences: {}")],
    ["must be an https address", getConfig(["server: http://10.0.0.1"], [])],
  ])("is refused without its content: %s", async (words, text) => {
    const failed = await read(text).catch((error: Error) => error.message);

    expect(failed).toContain(words);
    expect(failed).not.toContain("hidden");
  });

  it("that is missing is reported by its path", async () => {
    const reading = readKubeconfig({ file: join(directory, "none"), environment });

    await expect(reading).rejects.toThrow("none: it cannot be read (ENOENT)");
  });
});

describe("a credential plugin", () => {
  function getPlugin(script: string) {
    const file = join(directory, "plugin");
    writeFileSync(file, `#!/bin/sh\necho asked >> ${join(directory, "asked")}\n${script}\n`);
    chmodSync(file, 0o755);
    return { apiVersion: "client.authentication.k8s.io/v1", command: "./plugin", env: [{ name: "T", value: "abc" }] };
  }
  const place = () => ({ environment, directory, server, ca: undefined });
  const timesAsked = () => readFileSync(join(directory, "asked"), "utf8").split("\n").length - 1;
  const answer = `echo '{"status":{"token":"'$T'","expirationTimestamp":"2026-01-01T00:10:00Z"}}'`;

  it("is called once for a lasting token, and again before its end and after a refusal", async () => {
    let now = Date.parse("2026-01-01T00:00:00Z");
    const token = execTokens(getPlugin(answer), place(), () => now);

    const tokens = await Promise.all([token(), token()]);
    await token();
    const whileItLasts = timesAsked();
    await token("abc");
    const afterRefusal = timesAsked();
    now += 9.5 * 60_000;
    await token();

    expect(tokens).toEqual(["abc", "abc"]);
    expect([whileItLasts, afterRefusal, timesAsked()]).toEqual([1, 2, 3]);
  });

  it.each([
    ["it exited with 3", "echo hidden; echo hidden >&2; exit 3"],
    ["returned no token", "echo hidden"],
  ])("that fails is named without its output: %s", async (words, script) => {
    const failed = await Promise.resolve(execTokens(getPlugin(script), place())()).catch(
      (error: Error) => error.message,
    );

    expect(failed).toContain("The credential plugin ./plugin");
    expect(failed).toContain(words);
    expect(failed).not.toContain("hidden");
  });
});
