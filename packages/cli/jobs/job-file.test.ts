import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { Berth } from "../../sdk/berth.ts";
import { parseJobFile, readJobFile } from "./job-file.ts";
import { mergeSettings, submitRequest } from "./submit-request.ts";

const unreachable = new Berth({ url: "http://127.0.0.1:1", credentials: async () => "" });

let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), "berth-file-"));
});
afterAll(() => rmSync(place, { recursive: true }));

const whole = `# yaml-language-server: $schema=berth.schema.json
name: train
type: h100
gpus: 2
hours: 90m
image: ubuntu:24.04
disk: data
disk_size: 200
env: { SEED: 7, DEBUG: true, WORD: text }
github: octocat
jupyter: true
requeue: true
grace: 2m
min_hours: 30m
command: [python, train.py, --name, a b]
pull: out
`;

test("every key of a file reaches the request", async () => {
  const settings = parseJobFile(whole, "berth.yaml");

  expect(settings.pull).toEqual(["out"]);
  expect(await submitRequest(unreachable, settings)).toEqual({
    name: "train",
    instance_type: "p5.48xlarge",
    gpu_count: 2,
    duration_hours: 1.5,
    min_duration_hours: 0.5,
    image: "ubuntu:24.04",
    disk_name: "data",
    disk_size_gb: 200,
    env_vars: { SEED: "7", DEBUG: "true", WORD: "text" },
    github_user: "octocat",
    jupyter_enabled: true,
    on_interruption: "requeue",
    grace_seconds: 120,
    command: "python train.py --name 'a b'",
  });
});

test("flags win over a file, and variables of both are set", () => {
  const settings = mergeSettings(parseJobFile(whole, "berth.yaml"), {
    gpus: 1,
    type: undefined,
    env: { SEED: "8", MORE: "1" },
  });

  expect(settings).toMatchObject({ gpus: 1, type: "h100", env: { SEED: "8", DEBUG: "true", WORD: "text", MORE: "1" } });
});

test.each([
  ["gpu: 2", "line 1, column 1: there is no key 'gpu'. Did you mean gpus?"],
  ["type: cpu\nHours: 2", "line 2, column 1: there is no key 'Hours'. Did you mean hours?"],
  ["disk-size: 20", "line 1, column 1: there is no key 'disk-size'. Did you mean disk_size?"],
  ["duration_hours: 2", "line 1, column 1: there is no key 'duration_hours'. Did you mean hours?"],
  ["wholly: 1", "line 1, column 1: there is no key 'wholly'"],
  ["__proto__: { type: cpu }", "line 1, column 1: there is no key '__proto__'"],
  [
    "type: cpu\ngpus: two",
    "line 2, column 7: gpus takes a number of GPUs: 1, 2, 4 and so on of a machine, or all GPUs of up to 8 machines",
  ],
  ["type: H 100", "line 1, column 7: type takes a type of machine: "],
  ["hours: 0", "line 1, column 8: hours takes a time: 2 for hours, 90m or 1.5h"],
  ["hours: 0h", "line 1, column 8: hours takes a time: "],
  ["hours: .inf", "line 1, column 8: hours takes a time: "],
  ["name: 5", "line 1, column 7: name takes the job's name: text"],
  ["env:\n  TOKEN: [hunter2]", "line 2, column 10: env takes environment variables: "],
  ["env:\n  A-B: hunter2", "line 2, column 8: env takes environment variables: "],
  ["env:\n  TOKEN:\n", "line 2, column 9: env takes environment variables: "],
  ["command: []", "line 1, column 10: command takes a command: "],
  ["type: cpu\ntype: cpu", "line 2, column 1: Map keys must be unique"],
  ["type: [", "line 1, column 8: "],
  ["- type: cpu", "line 1, column 1: the file is a mapping of keys to values"],
  ["type: cpu\n---\ntype: cpu", "line 2, column 1: Source contains multiple documents"],
  ["name: !!js/function x", "line 1, column 7: Unresolved tag: "],
  ["name: &a x\ndisk: *a", "line 2, column 7: aliases are not allowed"],
  ["env: &a { A: *a }", "line 1, column 14: aliases are not allowed"],
  ["name: \u001B[31m", "line 1, column 7: name takes the job's name: "],
  ['"\\e[31m": 1', "line 1, column 1: there is no key '\uFFFD[31m'"],
])("the file %j is refused with its line", (text, words) => {
  const refusal = findRefusal(() => parseJobFile(text, "berth.yaml"));

  expect(refusal).toMatchObject({ exitCode: 2 });
  expect(refusal?.message).toContain(`berth.yaml, ${words}`);
  // A value may be a secret, and a file may hold escape sequences.
  expect(refusal?.message).not.toMatch(/hunter2|\p{Cc}/u);
});

test.each([
  ["lists in lists", "[".repeat(60_000)],
  ["mappings in mappings", Array.from({ length: 300 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n")],
  [
    "a bomb of aliases",
    ["a: &a [x]", ...Array.from("bcdefghijk", (name, at) => `${name}: &${name} [*${"abcdefghij"[at]}]`)].join("\n"),
  ],
])("%s are refused", (_, text) => {
  expect(findRefusal(() => parseJobFile(text, "berth.yaml"))).toMatchObject({ exitCode: 2 });
});

test("a file beyond 64 KiB, a directory, a named pipe and a missing file are refused before they are read", () => {
  const large = join(place, "large.yaml");
  writeFileSync(large, `# ${"x".repeat(1024 * 1024)}\ntype: cpu\n`);
  spawnSync("mkfifo", [join(place, "pipe")]);

  expect(findRefusal(() => readJobFile(large))?.message).toBe(`${large} is larger than 64 KiB`);
  expect(findRefusal(() => readJobFile(place))?.message).toBe(`${place} is not a file`);
  expect(findRefusal(() => readJobFile(join(place, "pipe")))?.message).toMatch(/ is not a file$/);
  expect(findRefusal(() => readJobFile("/dev/zero"))?.message).toBe("/dev/zero is not a file");
  expect(findRefusal(() => readJobFile(join(place, "none")))?.message).toMatch(/ cannot be read: ENOENT$/);
});

test("the published schema accepts a complete file, and refuses the same files as the command line", () => {
  const schema = JSON.parse(readFileSync(new URL("../berth.schema.json", import.meta.url), "utf8"));
  const validate = new Ajv2020({ strict: false }).compile(schema);
  const accepts = (text: string) => validate(parseDocument(text).toJS());

  expect(accepts(whole)).toBe(true);
  const refused = ["gpu: 2", "gpus: two", "type: H 100", "hours: soon", "env: { A-B: x }", "disk: a b", "- 1"];
  expect(refused.filter(accepts)).toEqual([]);
});

function findRefusal(call: () => unknown): { readonly message: string; readonly exitCode: number } | undefined {
  try {
    call();
  } catch (error) {
    return error as { message: string; exitCode: number };
  }
  return undefined;
}
