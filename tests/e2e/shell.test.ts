import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { jobClient, logIn } from "./job-client.ts";
import { runProgram } from "./program.ts";
import { environmentFor, exportedIn, openStackFixture, root, type StackProcess } from "./stack-fixture.ts";

// A careless shell would expand or split this path.
const fixture = openStackFixture("berth e2e's $HOME-");
const names = [
  ...["API_URL", "API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_STS"],
  ...["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"].map((name) => `BERTH_SECOND_AWS_${name}`),
];
let stack: StackProcess;

beforeAll(async () => {
  stack = await fixture.start();
});

afterAll(() => fixture.close());

const npmRunEnv = (...words: string[]) =>
  runProgram("npm", ["run", "--silent", "env", ...words], { cwd: root, env: environmentFor(fixture.home) });

describe("npm run --silent env", () => {
  it("prints export lines and nothing else", async () => {
    const { code, stdout, stderr } = await npmRunEnv();

    expect({ code, stderr, lines: stdout.trimEnd().split("\n") }).toEqual({
      code: 0,
      stderr: "",
      lines: names.map((name) => expect.stringMatching(new RegExp(`^export ${name}='[^']+'$`))),
    });
    expect(exportedIn(stdout).API_URL).toBe(stack.url);
  });

  it("sets the exact values in a shell that evaluates it", async () => {
    const show = `eval "$(npm run --silent env)"; printf '%s\\n' ${names.map((name) => `"$${name}"`).join(" ")}`;

    const { stdout } = await runProgram("/bin/sh", ["-c", show], { cwd: root, env: environmentFor(fixture.home) });

    const [developer, second] = JSON.parse(readFileSync(join(fixture.home, "identities.json"), "utf8"));
    const values = Object.fromEntries(
      stdout
        .trimEnd()
        .split("\n")
        .map((value, at) => [names[at], value]),
    );
    expect(values).toMatchObject({
      API_URL: stack.url,
      AWS_ACCESS_KEY_ID: developer.accessKeyId,
      AWS_SECRET_ACCESS_KEY: developer.secretAccessKey,
      AWS_SESSION_TOKEN: developer.sessionToken,
      BERTH_SECOND_AWS_ACCESS_KEY_ID: second.accessKeyId,
      BERTH_SECOND_AWS_SECRET_ACCESS_KEY: second.secretAccessKey,
      BERTH_SECOND_AWS_SESSION_TOKEN: second.sessionToken,
    });
    expect(await jobClient(stack.url, values.API_KEY ?? "").list()).toEqual([]);
  });

  it("works with the line that npm start prints, even if the home has blanks and an apostrophe", async () => {
    const odd = openStackFixture("berth it's a home-");
    try {
      // `start` appends arguments, which this shell ignores.
      const { url, output } = await odd.start({}, { under: ["/bin/sh", "-c", "exec npm start --silent"] });
      const [, line = ""] = /^ {2}API key +(eval .+\)") /m.exec(output()) ?? [];
      const { BERTH_HOME: _, ...env } = environmentFor(odd.home);

      const pasted = await runProgram("/bin/sh", ["-c", `${line}; echo "$API_URL"`], { cwd: root, env });

      expect(odd.home).toContain("berth it's a home-");
      expect(pasted).toEqual({ code: 0, stdout: `${url}\n`, stderr: "" });
    } finally {
      await odd.close();
    }
  });

  it("prints the same key again, and a new one with --fresh", async () => {
    const first = await stack.env();

    const again = await stack.env();
    const fresh = exportedIn((await npmRunEnv("--", "--fresh")).stdout);

    expect(again).toEqual(first);
    expect(fresh.API_KEY).not.toBe(first.API_KEY);
    expect({ ...fresh, API_KEY: "" }).toEqual({ ...first, API_KEY: "" });
    expect((await stack.env()).API_KEY).toBe(fresh.API_KEY);
  });

  it("contains a second identity, another user who sees nothing of the first", async () => {
    const env = await stack.env();
    const first = jobClient(stack.url, env.API_KEY ?? "");
    const id = await first.submit({ instance_type: "p5.48xlarge" });

    const login = await logIn(env, "BERTH_SECOND_");
    const second = jobClient(stack.url, String(login.api_key));

    expect(login.username).toBe("second");
    expect(await second.list()).toEqual([]);
    await expect(second.get(id)).rejects.toThrow(`404 {"detail":"Job ${id} not found"}`);
    await expect(second.cancel(id)).rejects.toThrow(`404 {"detail":"Job ${id} not found"}`);
    expect(["queued", "preparing", "active"]).toContain((await first.get(id)).status);
  });

  it("switches a shell to the second user with one line", async () => {
    const line = `eval "$(npm run --silent env -- --user second)"; printf '%s\\n' "$API_KEY" "$AWS_ACCESS_KEY_ID"`;

    const { stdout } = await runProgram("/bin/sh", ["-c", line], { cwd: root, env: environmentFor(fixture.home) });

    const [key = "", accessKeyId] = stdout.split("\n");
    const { BERTH_SECOND_AWS_ACCESS_KEY_ID, API_KEY } = await stack.env();
    const me = await fetch(`${stack.url}/v1/keys`, { headers: { authorization: `Bearer ${key}` } });
    expect([accessKeyId, me.status, key === API_KEY]).toEqual([BERTH_SECOND_AWS_ACCESS_KEY_ID, 200, false]);
    expect(await jobClient(stack.url, key).list()).toEqual([]);
    expect((await npmRunEnv("--", "--user", "nobody")).stderr).toBe(
      "There is no local user 'nobody', only developer, second. LOCAL_USERS names more at npm start.\n",
    );
  });

  it("causes no secret in the log of the stack", async () => {
    const { API_URL, AWS_ENDPOINT_URL_STS, ...secrets } = await stack.env();

    const log = stack.output();

    expect(log).toContain('"route":"/v1/auth/aws-login"');
    expect(Object.keys(secrets).filter((name) => log.includes(secrets[name] ?? ""))).toEqual([]);
  });

  it("reports that no stack runs when it was killed", async () => {
    const dead = openStackFixture("berth-killed-");
    await (await dead.start()).kill("SIGKILL");

    const options = { cwd: root, env: environmentFor(dead.home) };
    const { code, stdout, stderr } = await runProgram(process.execPath, ["scripts/env.ts", "--wait", "0"], options);

    const sentence = `No local stack is running in ${dead.home}. Start one with: npm start\n`;
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: "", stderr: sentence });
    await dead.close();
  });
});

describe("a second npm start", () => {
  it("reports which process has the home", async () => {
    const { code, stderr } = await npmStart(environmentFor(fixture.home));

    expect(code).toBe(1);
    expect(stderr).toContain(`Another local stack is using ${fixture.home}. It listens on ${stack.url}, pid `);
    expect(stderr).toContain("Stop it, or set BERTH_HOME to another directory.");
  });

  it("reports that the port is taken, and leaves nothing behind", async () => {
    const otherFixture = openStackFixture("berth-second-");
    const { port } = new URL(stack.url);

    const { code, stderr } = await npmStart(environmentFor(otherFixture.home, { PORT: port }));

    expect([code, stderr]).toEqual([
      1,
      `Port ${port} is in use.\nSet PORT to another port, or to 0 for any free port.\n`,
    ]);
    expect((await fetch(`${stack.url}/live`)).status).toBe(200);
    await otherFixture.close();
  });
});

function npmStart(env: NodeJS.ProcessEnv) {
  return runProgram("npm", ["start", "--silent"], { cwd: root, env });
}
