import { expect, test } from "vitest";
import { choiceLine, startLines, stopLine } from "./banner.ts";

const stack = {
  url: "http://127.0.0.1:8080",
  home: "/data/.berth",
  isolation: "none",
  limits: "none",
  sharedNetwork: undefined,
  sshPort: undefined,
  usersDirectory: undefined,
  cluster: undefined,
};

test("the start lines show where the stack listens, where its documents and data are, and how another shell gets a key", () => {
  const lines = startLines(stack, "/data/.berth");

  expect(lines).toContain("Berth listens on http://127.0.0.1:8080 (Ctrl-C ends it, and its environments)");
  expect(lines).toMatch(/^ {2}docs +http:\/\/127\.0\.0\.1:8080\/docs$/m);
  expect(lines).toMatch(/^ {2}API key +eval "\$\(npm run --silent env\)" /m);
  expect(lines).toMatch(/^ {2}limits +none$/m);
  expect(lines).toMatch(/^ {2}data +\/data\/\.berth \(disks and records stay\)$/m);
  expect(lines).not.toContain("BERTH_HOME");
});

test("the start lines show where the credentials of other users are, if there are any", () => {
  const lines = startLines({ ...stack, usersDirectory: "/data/.berth/users" }, stack.home);

  expect(lines).toMatch(/^ {2}users +credentials in \/data\/\.berth\/users$/m);
  expect(startLines(stack, stack.home)).not.toContain("users");
});

test("the start lines show a link that logs a browser in, if there is one", () => {
  const link = "http://berth.localhost:8080/login#code=x";

  expect(startLines(stack, stack.home, link)).toMatch(/^ {2}console +http:\/\/berth\.localhost:8080\/login#code=x$/m);
  expect(startLines(stack, stack.home)).not.toContain("console");
});

test.each([
  ["/data/.berth", "BERTH_HOME=/data/.berth npm run"],
  ["/my data/it's", "BERTH_HOME='/my data/it'\\''s' npm run"],
])("the start lines pass a home that is not the default to npm: %s", (home, words) => {
  expect(startLines({ ...stack, home }, "/elsewhere/.berth")).toContain(`eval "$(${words} --silent env)"`);
});

test.each([
  ["none", "Environments can read and change everything", true],
  ["bubblewrap, shared network", "reach everything", true],
  ["bubblewrap, own network", "on this machine's loopback.", false],
])("the start lines say what an isolation of %s means", (isolation, meaning, isWarning) => {
  const lines = startLines({ ...stack, isolation }, stack.home);

  expect(lines).toMatch(new RegExp(`^ {2}isolation +${isolation}$`, "m"));
  expect(lines).toContain(meaning);
  expect(lines.includes("docs/isolation.md")).toBe(isWarning);
});

test.each(["none", "bubblewrap, shared network", "bubblewrap, own network"])(
  "the start lines fit a terminal of 80 columns when the isolation is %s",
  (isolation) => {
    const lines = startLines({ ...stack, isolation }, stack.home).split("\n");

    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  },
);

test("the start lines show where SSH listens and why environments share the network of the machine", () => {
  const shared = { isolation: "bubblewrap, shared network", sharedNetwork: "missing here: slirp4netns" };
  const lines = startLines({ ...stack, ...shared, sshPort: 2222 }, stack.home);

  expect(lines).toMatch(/^ {2}SSH +port 2222; each job's ssh_command has the rest$/m);
  expect(lines).toMatch(/^ {2} +Shared network: missing here: slirp4netns\.$/m);
  expect(startLines(stack, stack.home)).not.toMatch(/SSH|Shared/);
  const longest = { ...shared, sharedNetwork: "missing here: slirp4netns, iproute2, util-linux", sshPort: 65535 };
  const wide = startLines({ ...stack, ...longest }, stack.home)
    .split("\n")
    .filter((line) => line.length > 80);
  expect(wide).toEqual([]);
});

test("the start lines name the cluster of the environments and what it lacks, and say that they outlive the stack", () => {
  const cluster = { name: "dev (https://10.0.0.1)", nodes: "p5.48xlarge=1", lacks: ["SSH", "backups"] };

  const lines = startLines({ ...stack, cluster }, stack.home);

  expect(lines).toContain("(Ctrl-C ends it; environments go on)");
  expect(lines).toMatch(
    /^ {2}cluster +dev \(https:\/\/10\.0\.0\.1\)\n {2}nodes +p5\.48xlarge=1\n {2}lacking +SSH\n +backups$/m,
  );
  expect(stopLine(["a/1"], "go on on the cluster")).toBe(
    "Stopping. On the cluster 1 of its environments go on, until they end or expire.",
  );
});

test("the stop line names the environments that Ctrl-C ends", () => {
  const names = ["a/1", "a/2", "a/3", "b/4", "b/5", "b/6", "b/7"];

  expect([undefined, [], ["a/1"], names].map((each) => stopLine(each))).toEqual([
    "Stopping.",
    "Stopping. No environment runs.",
    "Stopping 1 environment: a/1",
    "Stopping 7 environments: a/1, a/2, a/3, b/4, b/5 and 2 more",
  ]);
});

test("the stop lines name the environments that a second Ctrl-C leaves running", () => {
  expect([undefined, ["a/1"], ["a/1", "b/2"]].map((names) => choiceLine(names, 5))).toEqual([
    "Environments end in 5 s. Press Ctrl-C again to leave them running.",
    "1 environment ends in 5 s: a/1\nPress Ctrl-C again to leave it running.",
    "2 environments end in 5 s: a/1, b/2\nPress Ctrl-C again to leave them running.",
  ]);
  expect(stopLine(["a/1"], "go on")).toBe("Stopping, and leaving 1 environment: a/1");
});

test("no line contains a control sequence of a name", () => {
  const odd = "a\u001b]0;title\u0007\u009b2J\r\n\u202eb";
  const cluster = { name: odd, nodes: odd, lacks: [odd] };

  const said = [stopLine([odd]), startLines({ ...stack, home: odd, url: odd, usersDirectory: odd, cluster }, "")];

  expect(said.join("\n").replaceAll("\n", "")).toMatch(/^[ -~]*$/);
  expect(stopLine([odd])).toBe("Stopping 1 environment: a ]0;title 2J b");
});
