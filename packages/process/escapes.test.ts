import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findLimits, type LimitWay } from "./limits.ts";
import { findRlimits } from "./rlimits.ts";
import { canSandbox } from "./sandbox-probe.ts";
import { eventually, openTrial, type Trial } from "./trial.ts";

const secret = "the key of the stack";
const escaped = "got out";

/** Numbers of system calls: they have no programs that every machine has. */
const call =
  process.arch === "arm64"
    ? { keyctl: 219, addKey: 217, clone: 220, memfd: 279 }
    : { keyctl: 250, addKey: 248, clone: 56, memfd: 319 };

/**
 * What a command may try, as root's stack and as a plain user's. Each line succeeds, or prints the secret, only if it
 * gets what it should not. HOST is the home of the stack, OTHER the place of another run's work, MARK a file outside.
 */
const attempts: Readonly<Record<string, string>> = {
  "reads the passwords of the machine": "cat /etc/shadow",
  "reads the machine's list of users": "grep -q daemon /etc/passwd",
  "sees files of root": "test -e ~root/.bashrc || test -e ~root/.ssh || test -e ~root/.cache",
  "lists the homes of users": 'ls /home | grep -q ""',
  "lists /var/lib": "ls /var/lib",
  "lists sockets of daemons": 'ls /run | grep -q ""',
  "reads a file of the stack's home": 'cat "$HOST/secret"',
  "lists the stack's records": 'ls "$HOST" | grep -q secret',
  "lists the other runs": 'ls "$HOST/runs" | grep -q -- -r2',
  "lists the control groups of the other runs": "find /sys/fs/cgroup -name 'berth-*-r2' | grep -q .",
  "reads another run's work": 'cat "$OTHER/file"',
  "reads what its launcher keeps of it": 'cat "$HOST"/runs/*/run.json',
  "reads a file beside the stack's home": 'cat "$MARK"',
  "follows its own link into the home": 'ln -sf "$HOST/secret" link && cat link',
  "follows its own link out of its disk": "ln -sf ../../../../secret link2 && grep -q key link2",
  "makes a hard link to a program": "ln /usr/bin/env copy && : >>copy",
  "writes to /usr": "echo x >/usr/more",
  "writes to /etc": "echo x >/etc/more",
  "writes to /opt": "echo x >/opt/more",
  "writes to /": "echo x >/more",
  "writes to the stack's home": 'echo x >"$HOST/more"',
  "makes a device": "mknod device b 8 0",
  "changes the machine's devices": "chmod 600 /dev/null",
  "removes a device": "rm -f /dev/zero && ! test -e /dev/zero",
  "makes a file beside the devices": "echo x >/dev/more",
  "mounts a file system": "mkdir -p /tmp/place && mount -t tmpfs none /tmp/place",
  "mounts its own root again, to write": "mount -o remount,rw / && echo x >/more",
  "takes away what hides the home": 'umount "$HOST" && cat "$HOST/secret"',
  "takes it away as root of a namespace of its own": `unshare -Urm sh -c 'umount "$HOST" && cat "$HOST/secret"'`,
  "reads passwords as root of a namespace of its own": "unshare -Ur cat /etc/shadow",
  "writes to /usr as root of a namespace of its own":
    "unshare -Urm sh -c 'mount -o remount,rw /usr && echo x >/usr/more'",
  "changes its root": "chroot / cat /etc/shadow",
  "reads the machine through its first process": 'cat /proc/1/root"$HOST/secret"',
  "reads the memory of its first process": "cat /proc/1/mem",
  "reads the environment of its first process": "grep -q BERTH /proc/1/environ",
  "enters the namespaces of its first process": "nsenter -t 1 -m -p cat /etc/shadow",
  "sees processes of the machine": "grep -l '[v]itest' /proc/*/cmdline",
  "becomes root": "setpriv --reuid 0 --clear-groups true",
  "becomes root by a program that may": "su -c true root </dev/null",
  "is root": '[ "$(id -u)" = 0 ]',
  "has a capability": "! grep -q 'CapEff:.0000000000000000' /proc/self/status",
  "gets a capability by a program that has some": "! grep -q 'NoNewPrivs:.1' /proc/self/status",
  "kills its first process": "kill -9 1 && sleep 0.2 && ! kill -0 1",
  "renames the machine": 'hostname taken && [ "$(cat /proc/sys/kernel/hostname)" = taken ]',
  "changes the kernel": "echo 1 >/proc/sys/kernel/panic",
  "reads the kernel's memory": "head -c 1 /proc/kcore",
  "asks the kernel to sync": "echo s >/proc/sysrq-trigger",
  "changes what the kernel says of devices": "echo 1 >/sys/devices/system/cpu/cpu0/online",
  "finds keys that whoever started the stack keeps in the kernel": `perl -e 'exit(syscall(${call.keyctl}, 0, -3, 0) < 0)'`,
  "leaves a key to all that have its id": `perl -e '($t, $d, $p) = ("user", "berth-test", "x");
    exit(syscall(${call.addKey}, $t, $d, $p, 1, -4) < 0)'`,
  "opens a socket to what this machine is a guest of": "perl -e 'socket(S, 40, 1, 0) or exit 1'",
  "has another way to open sockets": `perl -e '$p = "\\0" x 120; exit(syscall(425, 4, $p) < 0)'`,
  "sees shared memory of the machine": "ls /dev/shm | grep -v '^large$' | grep -q .",
  "has more shared memory than it may": "head -c 1200000000 /dev/zero >/dev/shm/large",
  "has more of /tmp than it may": "head -c 1200000000 /dev/zero >/tmp/large",
  "mounts memory as root of a namespace of its own":
    "mkdir -p /tmp/place && unshare -Urm mount -t tmpfs none /tmp/place",
  "mounts memory that has no bound at all": "mkdir -p /tmp/place && unshare -Urm mount -t ramfs none /tmp/place",
  "makes a namespace in which it is root": "unshare -Ur true",
  "makes one with a process": `perl -e 'exit(syscall(${call.clone}, 0x10000011, 0, 0, 0, 0) < 0)'`,
  "makes one in the newer way": `perl -e '$how = pack("Q11", 0x10000000, 0, 0, 0, 17, (0) x 6);
    exit(syscall(435, $how, 88) < 0)'`,
};

/** What only a control group could count. */
const uncounted: Readonly<Record<string, string>> = {
  "makes a file in memory": `perl -e '$name = "file"; exit(syscall(${call.memfd}, $name, 0) < 0)'`,
  "makes one that nobody else can read": "perl -e 'exit(syscall(447, 0) < 0)'",
  "has more memory in segments than it may": `perl -e '
    for $size (1200000000, 1048576, 262144, 4096) { $sum += $size while $sum < 1200000000 && shmget(0, $size, 0600) }
    exit($sum < 1200000000)'`,
};

const found = findLimits("bubblewrap");
const alone: LimitWay = { ...found, groups: null, rlimits: findRlimits("bubblewrap") };
/** Where nothing else can be had, the second is the first. */
const ways = [
  ...(found.groups ? [{ where: "in control groups", limits: found, tried: attempts }] : []),
  { where: "without control groups", limits: alone, tried: { ...attempts, ...uncounted } },
];

describe.skipIf(!canSandbox()).each(ways)(
  "a sandbox $where (skipped where bubblewrap does not work)",
  ({ limits, tried }) => {
    let trial: Trial;
    const told: Record<"first" | "later", Map<string, string>> = { first: new Map(), later: new Map() };
    const nullMode = statSync("/dev/null").mode;

    beforeAll(async () => {
      trial = openTrial({ isolation: "bubblewrap", limits });
      const mark = join(trial.root, "mark");
      for (const file of [join(trial.home, "secret"), mark]) writeFileSync(file, secret);
      chmodSync(mark, 0o644);
      await trial.compute.apply(trial.runOf({ run: 2 }));
      const other = join(trial.home, "runs", `${trial.uid}-r2`, "0/work");
      await eventually(
        () => existsSync(other),
        (is) => is,
      );
      writeFileSync(join(other, "file"), secret);
      mkdirSync(join(trial.home, "blobs"), { recursive: true });
      const lines = Object.entries(tried).map(
        ([name, attempt]) => `echo "### ${name}"; (${attempt}) 2>&1 </dev/null && echo "${escaped}"`,
      );
      const env = { HOST: trial.home, OTHER: other, MARK: mark };
      const script = `${lines.join("\n")}\necho "### end"`;
      await trial.compute.apply(trial.runOf({ env, command: `${script}\nexec sleep 3600` }));
      const log = await eventually(
        () => trial.compute.readLog(trial.uid, 1),
        (text) => text.includes("### end"),
      );
      told.first = partsOf(log);
      const words = ["/bin/sh", "-c", script];
      const exec = { id: "later", words, env, stdin: "", directory: undefined, timeoutMs: 60_000 };
      await trial.compute.startExec(trial.uid, 1, exec);
      const sight = await eventually(
        () => trial.compute.readExec(trial.uid, 1, "later", 1_000),
        (seen) => seen?.state === "ended",
      );
      told.later = partsOf(sight?.stdout ?? "");
    });

    afterAll(async () => {
      await trial.close();
    });

    describe.each(["first", "later"] as const)("started %s", (when) => {
      it.each(Object.keys(tried))("lets out no command that %s", (name) => {
        const got = told[when].get(name);

        expect(told[when].has("end")).toBe(true);
        expect(got).toBeDefined();
        expect(got).not.toContain(escaped);
        expect(got).not.toContain(secret);
      });
    });

    it("leaves the machine as it was", () => {
      expect(statSync("/dev/null").mode).toBe(nullMode);
      expect(["/more", "/usr/more", "/etc/more", "/opt/more", "/dev/more"].filter(existsSync)).toEqual([]);
      expect(readdirSync(trial.home)).not.toContain("more");
    });
  },
);

/** What each attempt printed. */
function partsOf(text: string): Map<string, string> {
  const [, ...parts] = text.split("### ");
  return new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]));
}
