import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStackFixture, type StackFixture } from "../../tests/e2e/stack-fixture.ts";
import { awsLogin } from "./aws.ts";
import * as sdk from "./index.ts";

/** The examples of the README and of the guide, as they are printed, on a running stack. */
const pages = ["README.md", "../../docs/guide/scripts-and-sdk.md"];
const printed = pages.map((path) => readFileSync(new URL(path, import.meta.url), "utf8")).join("\n");
const examples = Array.from(printed.matchAll(/^```ts\n([\s\S]*?)^```$/gm), ([, code = ""]) => code);

let fixture: StackFixture;
let names: Readonly<Record<string, unknown>>;
beforeAll(async () => {
  fixture = openStackFixture("berth-sdk-");
  const stack = await fixture.start({ ADMIN_USERS: "developer" });
  const env = await stack.env();
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "", AWS_SESSION_TOKEN = "" } = env;
  names = {
    awsLogin,
    awsCredentials: {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      sessionToken: AWS_SESSION_TOKEN,
    },
    Berth: sdk.Berth,
    NotFoundError: sdk.NotFoundError,
    env,
  };
});
afterAll(() => fixture.close());

/** Runs one example, and returns what it printed. */
async function run(code: string): Promise<string> {
  const { env, ...input } = names;
  const printed: string[] = [];
  const ownValue = {
    ...input,
    console: { log: (...words: unknown[]) => printed.push(`${words.join(" ")}\n`) },
    process: { env, stdout: { write: (text: string) => printed.push(text) } },
  };
  const { API_URL: url = "", API_KEY: key = "" } = env as Record<string, string>;
  const local = code.includes("new Berth(") ? ownValue : { ...ownValue, berth: new sdk.Berth({ url, key }) };
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
  await new AsyncFunction(...Object.keys(local), code.replace(/^import .*$/gm, ""))(...Object.values(local));
  return printed.join("");
}

test("the README has an example for each noun of the client", () => {
  for (const noun of ["jobs", "disks", "availability", "me", "keys", "webhooks", "admin"]) {
    expect(examples.filter((code) => code.includes(`berth.${noun}`)).length, noun).toBeGreaterThan(0);
  }
});

test.each(
  examples.map((code) => [
    code
      .split("\n")
      .find((line) => line.includes("berth"))
      ?.trim() ?? code,
    code,
  ]),
)("the example %s runs as it is printed", async (_, code) => {
  const printed = await run(code);

  const isLogged = code.includes("follow: true");
  expect(printed).toMatch(isLogged ? /hello\nworld\ncompleted\n$/ : /^([\s\S]+\n)?$/);
});

test("a followed log is complete, whatever is printed while it is read", async () => {
  const { API_URL: url = "", API_KEY: key = "" } = names.env as Record<string, string>;
  const berth = new sdk.Berth({ url, key });
  const { job_id } = await berth.jobs.submit({
    image: "ubuntu:24.04",
    instance_type: "c7i.8xlarge",
    command: "for i in $(seq 1 400); do printf 'step %s ü🚀\\r' $i; [ $((i % 40)) -ne 0 ] || sleep 0.2; done; echo",
  });

  await berth.jobs.wait(job_id, { until: "active" });
  let log = "";
  for await (const text of berth.jobs.logs(job_id, { follow: true, tail: 10_000 })) log += text;

  expect(log).toBe(`${Array.from({ length: 400 }, (_, at) => `step ${at + 1} ü🚀\r`).join("")}\n`);
});
