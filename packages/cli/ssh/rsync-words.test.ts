import { expect, test } from "vitest";
import { findRemotePaths, isPull, remoteShell } from "./rsync-words.ts";

test.each([
  [["-a", "data/", "job:data/"], [{ at: 2, job: "job", path: "data/" }]],
  [
    ["-av", "job:a b", ":c", "./here"],
    [
      { at: 1, job: "job", path: "a b" },
      { at: 2, job: "", path: "c" },
    ],
  ],
  [["--exclude", "a:b", "--exclude=c:d", "x", "job:"], [{ at: 4, job: "job", path: "" }]],
  [["-avf", "- e:f", "-T", "g:h", "x", "job:"], [{ at: 5, job: "job", path: "" }]],
  [
    ["-Tdelete", "--", "-e:f", "job:y"],
    [
      { at: 2, job: "-e", path: "f" },
      { at: 3, job: "job", path: "y" },
    ],
  ],
  [["./with:colon", "host::module", "rsync://host/module", "x\ny"], []],
])("the paths in a job among %j are %j", (words, expected) => {
  expect(findRemotePaths(words)).toEqual(expected);
});

test.each([["-e"], ["-ave"], ["-essh"], ["--rsh"], ["--rsh=ssh"]])(
  "%j is refused, because berth sets the shell",
  (word) => {
    expect(() => findRemotePaths([word, "ssh", "job:a", "b"])).toThrow("chooses the remote shell itself");
  },
);

test("the shell of rsync keeps spaces and quotes of a path", () => {
  const target = { user: "u", host: "h", port: "22", options: ["-i", `/it's "my" key`], hostKeys: [] };

  expect(remoteShell(target)).toBe(`ssh -i '/it''s "my" key' -p 22`);
});

test.each([
  [["-a", "data/", "job:data/"], false],
  [["-a", "data/", "job:data/", "--delete", "--timeout", "9"], false],
  [["job:"], false],
  [["-a", "job:data/", "."], true],
  [["-a", "job:data/", ".", "-v", "--exclude", "job:x"], true],
  [["job:a", ":b", "--", "-c"], true],
])("among %j rsync writes here: %j", (words, expected) => {
  expect(isPull(words)).toBe(expected);
});
