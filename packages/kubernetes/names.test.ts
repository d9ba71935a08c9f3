import { describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import {
  buildMetadata,
  everyRunSelector,
  findRun,
  getMachine,
  label,
  labelValue,
  nameOfRun,
  parseAnnotation,
  runSelector,
} from "./names.ts";
import type { KubeObject } from "./objects.ts";
import { buildPaths } from "./paths.ts";

const uid = "0123456789abcdef0123456789abcdef";

describe("the name of a run", () => {
  it("is its uid and number", () => {
    expect(nameOfRun({ uid, run: 12 })).toBe(`${uid}-r12`);
  });

  it.each([
    [uid.slice(1), 1],
    [`${uid}/..`, 1],
    [uid.toUpperCase(), 1],
    ["../../../../api/v1/nodes/a?x=aaaa", 1],
    [uid, 0],
    [uid, 1.5],
    [uid, 1_000_000],
  ])("is refused for uid %s and number %d", (text, run) => {
    expect(() => nameOfRun({ uid: text, run })).toThrow("of a run");
    expect(() => runSelector({ uid: text, run })).toThrow("of a run");
  });
});

describe("a namespace", () => {
  it.each(["", "a/b", "..", "A", "a".repeat(64), "a?b"])("named '%s' is refused", (name) => {
    expect(() => buildPaths(name)).toThrow("The name of the namespace is invalid");
  });
});

describe("a deployment", () => {
  it.each(["", "a/b", "A", "a,b", "a".repeat(64)])("named '%s' is refused", (name) => {
    expect(() => everyRunSelector(name)).toThrow("The name of the deployment is invalid");
  });

  it("is part of the selector of its runs", () => {
    expect(decodeURIComponent(everyRunSelector("one"))).toContain("berth/deployment=one,");
  });
});

describe("a label", () => {
  it.each([
    ["training", "training"],
    ["My job: épisode 2/3\n", "My_job___pisode_2_3"],
    ["-._", ""],
    ["🚀".repeat(40), ""],
    [`${"a".repeat(62)}-b`, "a".repeat(62)],
    ["$(rm -rf ~)", "rm_-rf"],
  ])("of '%s' is '%s'", (text, value) => {
    expect(labelValue(text)).toBe(value);
    expect(value).toMatch(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/);
  });
});

describe("the run of an object", () => {
  const run = { uid, run: 3, key: 'owner#o|"j"', name: "n", pool: "h100", shares: [], ports: [] } as unknown as Run;
  const getObject = (metadata: object) =>
    ({ metadata: { ...buildMetadata(run, "one"), ...metadata } }) as unknown as KubeObject;
  const owner = { kind: "Job", name: `${uid}-r3`, uid: "u" };

  it("is read from the labels of a Job of that name, and of a pod of such a Job", () => {
    const ref = { uid, run: 3, key: 'owner#o|"j"' };

    expect(findRun(getObject({ name: `${uid}-r3` }), "Job")).toEqual(ref);
    expect(findRun(getObject({ name: "any", ownerReferences: [owner] }), "Pod")).toEqual(ref);
  });

  it("is read from the name of a pod whose Job was deleted without it", () => {
    const orphan = getObject({ name: `${uid}-r3-m1-x2b4c`, generateName: `${uid}-r3-m1-` });

    expect(findRun(orphan, "Pod")).toEqual({ uid, run: 3, key: 'owner#o|"j"' });
    expect(getMachine(orphan)).toBe(1);
  });

  it("is read from the names of the other machines' Jobs too, with the machine", () => {
    const second = getObject({ name: `${uid}-r3-m1` });
    const pod = getObject({ name: "any", ownerReferences: [{ ...owner, name: `${uid}-r3-m12` }] });

    expect([findRun(second, "Job")?.run, findRun(pod, "Pod")?.run]).toEqual([3, 3]);
    expect([second, pod, getObject({ name: `${uid}-r3` })].map(getMachine)).toEqual([1, 12, 0]);
  });

  it.each<[string, "Job" | "Pod", object]>([
    ["a Job of an invalid machine", "Job", { name: `${uid}-r3-m0` }],
    [
      "a Job of a machine that no run has, however long a list of so many would be",
      "Job",
      { name: `${uid}-r3-m4294967296` },
    ],
    ["a Job of another name", "Job", { name: "mine" }],
    ["a Job of another run", "Job", { name: `${uid}-r4` }],
    ["a Job with an invalid uid", "Job", { name: "x-r3", labels: { [label.uid]: "x", [label.run]: "3" } }],
    ["a Job without labels", "Job", { name: `${uid}-r3`, labels: undefined }],
    ["a pod without an owner", "Pod", { name: `${uid}-r3` }],
    ["a pod that only says that a Job of a run made it", "Pod", { name: "mine", generateName: `${uid}-r3-` }],
    ["a pod of others with a name of a run", "Pod", { name: "mine-x2b4c", generateName: "mine-" }],
    ["a pod of another Job", "Pod", { name: `${uid}-r3-0`, ownerReferences: [{ ...owner, name: "mine" }] }],
    ["a pod of no Job", "Pod", { name: `${uid}-r3-0`, ownerReferences: [{ ...owner, kind: "ReplicaSet" }] }],
  ])("is missing for %s", (_, kind, metadata) => {
    expect(findRun(getObject(metadata), kind)).toBeUndefined();
  });
});

describe("an annotation", () => {
  it.each(["", "{", "{}", "null", '"text"'])("without a list is ignored: %s", (text) => {
    const { metadata } = { metadata: { annotations: { a: text } } } as unknown as KubeObject;

    expect(parseAnnotation(metadata, "a")).toBeUndefined();
  });
});
