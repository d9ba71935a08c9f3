import { describe, expect, test } from "vitest";
import { imageFault, imagePattern } from "./image-reference.ts";

const hex = "0123456789abcdef".repeat(4);

const taken = [
  "ubuntu",
  "ubuntu:24.04",
  "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
  "codercom/code-server:latest",
  "docker.io/library/busybox",
  "localhost/x",
  "localhost:5000/x",
  "127.0.0.1:5000/a/b",
  "Registry.Example.COM:443/a_b/c--d__e.f:TAG-1.2",
  "UPPER/case",
  "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/train:v1",
  `nvcr.io/nvidia/pytorch:23.10-py3@sha256:${hex}`,
  `x@sha512:${hex}${hex}`,
  `x:_${"t".repeat(127)}`,
  `${"a".repeat(255)}:1`,
  `registry.test/${hex}`,
  "a/b/c/d/e",
  "a_b.test/x",
  "xn--bcher-kva.example/x",
];

test.each(taken)("accepts %s", (text) => {
  expect(imageFault(text)).toBeUndefined();
  expect(text).toMatch(new RegExp(imagePattern));
});

const scheme = "Image must not begin with a scheme such as docker://";
const capitals = "Image must not have capital letters in its repository";
const brackets = "Image must not name its registry by an address in brackets";
const digest = "Image has a bad digest";
const tag = "Image has a bad tag";
const port = "Image has a bad port";
const registry = "Image has a bad registry";
const repository = "Image has a bad repository";
const empty = "Image has no repository, or one with an empty part";
const space = "Image must not contain white space or control characters";

const refused: [text: string, fault: string][] = [
  ["UPPER/Case", capitals],
  ["Ubuntu", capitals],
  ["Upper-Case:1", capitals],
  ["docker://ubuntu", scheme],
  ["https://registry.test/x", scheme],
  ["oci://x:1", scheme],
  ["[::1]:5000/x", brackets],
  ["[fe80::1]/x", brackets],
  ["x@sha256:short", digest],
  ["x@", digest],
  [`x@sha256:${hex.toUpperCase()}`, digest],
  [`x@md5:${hex.slice(32)}`, digest],
  [`x@sha256:${hex}@sha256:${hex}`, digest],
  [`x@sha512:${hex}`, digest],
  ["x:", tag],
  ["x:.1", tag],
  ["x:-1", tag],
  ["x:1:2", tag],
  ["a/x:1/y", tag],
  [`x:${"t".repeat(129)}`, tag],
  ["registry.test:port/x", port],
  ["registry.test:/x", port],
  ["registry.test:65536/x", port],
  ["registry.test:5000:1/x", port],
  ["::1/x", registry],
  ["-a.test/x", registry],
  ["a..test/x", registry],
  ["a_b.test:5000/x", registry],
  [".test/x", registry],
  ["a/../b", repository],
  ["a___b", repository],
  ["_a", repository],
  ["a-", repository],
  ["a.-b", repository],
  ["büro/x", repository],
  ["$(id)", repository],
  ["ubuntu;id", repository],
  ["a//b", empty],
  ["/a", empty],
  ["a/", empty],
  ["registry.test/", empty],
  [":1", empty],
  ["", empty],
  [`${"a".repeat(256)}`, "Image has a repository of over 255 characters"],
  [hex, "Image must not be the id of an image"],
  ["with space/x:1", space],
  ["x\n", space],
  ["x\u200b", space],
];

describe("says why a reference is invalid that no registry can have", () => {
  test.each(refused)("%j", (text, fault) => {
    expect(imageFault(text)?.slice(0, fault.length)).toBe(fault);
  });
});

test("the published pattern accepts little more than the rule", () => {
  const looser = refused.flatMap(([text]) => (new RegExp(imagePattern).test(text) ? [text] : []));

  expect(looser).toEqual(["registry.test:65536/x", "a".repeat(256), hex]);
});
