import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Attempts,
  formatScript,
  type Got,
  gotBy,
  inside,
  outside,
  printGot,
  seenAtEnd,
} from "./attempts-fixture.ts";
import { eventually, type Fixture, lacks, openFixture } from "./fixture.ts";
import { findLimits, type LimitWay } from "./sandbox/limits.ts";
import { findRlimits } from "./sandbox/rlimits.ts";

const secret = "the key of the stack";
/** Two scripts of 70 attempts, ms. They take 10 s here, but each attempt may take as long as a test waits. */
const LONGEST_MS = 900_000;

/** Numbers of system calls for which not every machine has programs. */
const call =
  process.arch === "arm64"
    ? { keyctl: 219, addKey: 217, clone: 220, memfd: 279, getpid: 172, ioSetup: 0, perf: 241, bpf: 280, inotify: 26 }
    : { keyctl: 250, addKey: 248, clone: 56, memfd: 319, getpid: 39, ioSetup: 206, perf: 298, bpf: 321, inotify: 294 };
const anyCall = calls(`${call.getpid}`);

/** A plain user may do this on the machine itself, as root of a user namespace. */
const asRoot = (line: string) => `unshare -Urm sh -c '${line}'`;
const mounted = 'mount -t tmpfs none "$PLACE"';

/**
 * Attempts by the commands of root's and a plain user's stack, with their controls. HOST is the stack's home, WORK the
 * run's own directory there, OTHER that of another run, MARK a file outside, and SHOWN a directory that sandboxes see.
 * PLACE is a mount point for controls, in a separate namespace.
 */
const attempts: Attempts = {
  "reads the passwords of the machine": inside("cat /etc/shadow", "cat /etc/hosts"),
  "reads the machine's list of users": inside("grep -q daemon /etc/passwd", "grep -q berth /etc/passwd"),
  "sees files of root": inside(
    'ls -A /root | grep -qE "^.(bashrc|profile|ssh|cache)$"',
    'ls -A /usr | grep -qE "^(bin|lib)$"',
  ),
  "lists the homes of users": inside('ls /home | grep -q ""', 'ls /usr | grep -q ""'),
  "lists /var/lib": inside("ls /var/lib", "ls /usr/lib"),
  "lists sockets of daemons": inside(
    "ls -A /run /run/screen | grep -qvE '^(/run.*:|screen|)$'",
    "ls -A /usr | grep -qvE '^(/run.*:|screen|)$'",
  ),
  "reads a file of the stack's home": outside('cat "$HOST/secret"'),
  "reads it by the same words as its own": inside('cat "$HOST/secret"', 'cat "$WORK/mine"'),
  "lists the stack's records": inside('ls "$HOST" | grep -q secret', 'ls "$HOST" | grep -q runs'),
  "lists the other runs": inside('ls "$HOST/runs" | grep -q -- -r2', 'ls "$HOST/runs" | grep -q -- -r1'),
  "reads another run's work": outside('cat "$OTHER/file"'),
  "reads what its supervisor keeps of it": outside('cat "$HOST"/runs/*/run.json'),
  "reads a file beside the stack's home": outside('cat "$MARK"'),
  "follows its own link into the home": inside(
    'ln -sf "$HOST/secret" link && cat link',
    'ln -sf "$WORK/mine" own && cat own',
  ),
  "follows its own link out of its disk": inside(
    "ln -sf ../../../../secret link2 && grep -q key link2",
    "ln -sf ../../0/work/mine own2 && grep -q key own2",
  ),
  "makes a hard link to a program, within one mount": inside("ln /usr/bin/env /usr/bin/berth-copy", "ln mine mine2"),
  "makes one to a file of the same file system": outside('ln "$SHOWN/file" copy', 'ln "$SHOWN/file" "$PLACE/copy"'),
  "writes to /usr": inside("echo x >/usr/more", "echo x >more"),
  "writes to /etc": inside("echo x >/etc/more", "echo x >more"),
  "writes to /opt": inside("echo x >/opt/more", "echo x >more"),
  "writes to /": inside("echo x >/more", "echo x >more"),
  "writes to the stack's home": inside('echo x >"$HOST/more"', 'echo x >"$WORK/more"'),
  "makes a device": inside("mknod device b 8 0", "mknod fifo p"),
  "changes the machine's devices": inside("chmod 600 /dev/null", "chmod 600 more"),
  "removes a device": inside("rm -f /dev/zero && ! test -e /dev/zero", "rm -f more && ! test -e more"),
  "makes a file beside the devices": inside("echo x >/dev/more", "echo x >/dev/shm/more && rm /dev/shm/more"),
  "mounts a file system": outside("mkdir -p /tmp/place && mount -t tmpfs none /tmp/place", asRoot(mounted)),
  "mounts its own root again, to write": outside(
    "mount -o remount,rw / && echo x >/more",
    asRoot(`${mounted} && mount -o remount,bind,rw "$PLACE" && echo x >"$PLACE/more"`),
  ),
  "takes away what hides the home": outside(
    'umount "$HOST" && cat "$HOST/secret"',
    asRoot(`${mounted} && umount "$PLACE"`),
  ),
  "takes it away as root of a namespace of its own": outside(
    asRoot('umount "$HOST" && cat "$HOST/secret"'),
    asRoot(`${mounted} && umount "$PLACE"`),
  ),
  "writes to /usr as root of a namespace of its own": outside(
    asRoot("mount -o remount,rw /usr && echo x >/usr/more"),
    asRoot(`${mounted} && mount -o remount,bind,rw "$PLACE" && echo x >"$PLACE/more"`),
  ),
  "changes its root": outside("chroot / true", "unshare -Ur chroot / true"),
  "reads the machine through its first process": inside(
    'cat /proc/1/root"$HOST/secret"',
    'cat /proc/self/root"$WORK/mine"',
  ),
  "opens the memory of its first process": inside(": </proc/1/mem", ": </proc/self/mem"),
  "opens the environment of its first process": inside(": </proc/1/environ", ": </proc/self/environ"),
  "enters the namespaces of its first process": outside(
    "nsenter -t 1 -m -p true",
    "unshare -Urmpf --mount-proc nsenter -t 1 -m -p true",
  ),
  "sees processes of the machine": outside("grep -ls '[v]itest' /proc/*/cmdline | grep ."),
  "becomes root": inside("setpriv --reuid 0 true || exit 1", 'setpriv --reuid "$(id -u)" true'),
  "becomes root by a program that may": inside("su -c true root", "su --version"),
  "is root": inside('[ "$(id -u)" = 0 ]', '[ "$(id -u)" != 0 ]'),
  "has a capability": inside(
    "! grep -q 'CapEff:.0000000000000000' /proc/self/status",
    "grep -q 'CapEff:' /proc/self/status",
  ),
  "gets a capability by a program that has some": inside(
    "! grep -q 'NoNewPrivs:.1' /proc/self/status",
    "grep -q 'NoNewPrivs:' /proc/self/status",
  ),
  "kills its first process": inside(
    "kill -9 1 && sleep 0.2 && ! kill -0 1",
    "sleep 60 & kill -9 $! && ! wait $! && ! kill -0 $!",
  ),
  "renames the machine": outside(
    'hostname taken && [ "$(cat /proc/sys/kernel/hostname)" = taken ]',
    "unshare -Uru hostname taken",
  ),
  "changes the kernel": inside("echo 1 >/proc/sys/kernel/panic", "echo 500 >/proc/self/oom_score_adj"),
  "changes how many segments it may have": inside(
    "echo 30000 >/proc/sys/kernel/shmmni",
    "echo 500 >/proc/self/oom_score_adj",
  ),
  "changes how long its message queues may be": inside(
    "echo 1000 >/proc/sys/fs/mqueue/msg_max",
    "echo 500 >/proc/self/oom_score_adj",
  ),
  "reads the kernel's memory": inside("head -c 1 /proc/kcore", "head -c 1 /proc/version"),
  "asks the kernel to sync": inside("echo s >/proc/sysrq-trigger", "echo 500 >/proc/self/oom_score_adj"),
  "changes what the kernel says of devices": inside("echo 1 >/sys/devices/system/cpu/cpu0/online", "echo 1 >more"),
  "finds keys that whoever started the stack keeps in the kernel": outside(calls(`${call.keyctl}, 0, -3, 0`)),
  "leaves a key to all that have its id": outside(addsKey(-4), addsKey(-2)),
  "opens a socket to what this machine is a guest of": inside(opens(40), opens(2)),
  "has another way to open sockets": inside(calls("425, 4, $p", '$p = "\\0" x 120'), anyCall),
  "takes of the reads that all of the machine share": inside(reaches(call.ioSetup), reaches(call.getpid)),
  "watches what a processor does": inside(reaches(call.perf), reaches(call.getpid)),
  "gives the kernel a program": inside(reaches(call.bpf), reaches(call.getpid)),
  "sees shared memory of the machine": outside('ls /dev/shm | grep -q "$SHARED"'),
  "has more shared memory than it may": inside(fills("/dev/shm/large", 1_200_000_000), fills("/dev/shm/large", 1_000)),
  "has more of /tmp than it may": inside(fills("/tmp/large", 1_200_000_000), fills("/tmp/large", 1_000)),
  "mounts memory as root of a namespace of its own": outside(
    "mkdir -p /tmp/place && unshare -Urm mount -t tmpfs none /tmp/place",
    asRoot(mounted),
  ),
  "mounts memory that has no bound at all": outside(
    "mkdir -p /tmp/place && unshare -Urm mount -t ramfs none /tmp/place",
    'unshare -Urm mount -t ramfs none "$PLACE"',
  ),
  "makes a namespace in which it is root": outside("unshare -Ur true"),
  "makes one with a process": outside(calls(`${call.clone}, 0x10000011, 0, 0, 0, 0`)),
  "makes one in the newer way": outside(calls("435, $how, 88", '$how = pack("Q11", 0x10000000, 0, 0, 0, 17, (0) x 6)')),
};

const grouped: Attempts = {
  "lists the control groups of the other runs": outside("find /sys/fs/cgroup -name 'berth-*-r2' | grep -q ."),
  "lists those by the same words as its own": inside(
    "find /sys/fs/cgroup -name 'berth-*-r2' | grep -q .",
    "find /sys/fs/cgroup -name cgroup.procs | grep -q .",
  ),
};

/** Linux allows this many per set, which takes 2 MiB of kernel memory. */
const semaphores = (count: number) =>
  `perl -e '$id = semget(0, ${count}, 0600); defined $id or exit 1; semctl($id, 0, 0, 0)'`;

const uncounted: Attempts = {
  "makes a file in memory": outside(calls(`${call.memfd}, $name, 0`, '$name = "file"')),
  "makes one that nobody else can read": inside(calls("447, 0"), anyCall),
  "has more memory in segments than it may": outside(
    `perl -e '
    for $size (1200000000, 1048576, 262144, 4096) { $sum += $size while $sum < 1200000000 && shmget(0, $size, 0600) }
    exit($sum < 1200000000)'`,
    "perl -e 'defined($id = shmget(0, 4096, 0600)) or exit 1; shmctl($id, 0, 0) or exit 1'",
  ),
  "has memory in semaphores": inside(semaphores(32_000), semaphores(32)),
  "has memory in messages": outside("perl -e 'defined($id = msgget(0, 0600)) or exit 1; msgctl($id, 0, 0) or exit 1'"),
};

/** Only root can create a program that makes others root. */
const setuid: Attempts = {
  "becomes root by a program of root's that it sees": outside(
    '[ "$("$SHOWN/id" -u)" = 0 ]',
    '[ "$(setpriv --reuid 61000 --clear-groups "$SHOWN/id" -u)" = 0 ]',
  ),
};

/** Root's environments share one id, and no user namespace counts for them. */
const counted: Attempts = {
  "watches more than its part of what a user may": inside(
    `perl -e 'open(F, "</proc/sys/fs/inotify/max_user_instances"); $part = <F> / 4;
    $n++ while $n <= $part && syscall(${call.inotify}, 0) >= 0; exit($n <= $part)'`,
    calls(`${call.inotify}, 0`),
  ),
};

const ofAll = { ...attempts, ...(process.getuid?.() === 0 ? setuid : counted) };
const found = findLimits("bubblewrap");
const alone: LimitWay = { ...found, groups: null, rlimits: findRlimits("bubblewrap") };
/** Without control groups and limits, both ways are the same. */
const ways = [
  ...(found.groups ? [{ where: "in control groups", limits: found, tried: { ...ofAll, ...grouped } }] : []),
  { where: "without control groups", limits: alone, tried: { ...ofAll, ...uncounted } },
];
const lacking = lacks("shared");

describe.each(ways)("a sandbox $where", { retry: 0 }, ({ where, limits, tried }) => {
  if (lacking) {
    it("needs bubblewrap", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;
  let shared: string;
  const got: Record<"first" | "later", Map<string, Got>> = { first: new Map(), later: new Map() };
  const nullMode = statSync("/dev/null").mode;

  beforeAll(async () => {
    fixture = openFixture({ isolation: "bubblewrap", limits });
    const otherName = join(fixture.home, "runs", `${fixture.uid}-r2`, "0/work");
    const env = {
      HOST: fixture.home,
      OTHER: otherName,
      MARK: join(fixture.root, "mark"),
      SHOWN: fixture.shown,
      WORK: join(fixture.directory, "0/work"),
      PLACE: join(fixture.root, "place"),
      SHARED: `berth-${fixture.uid}`,
    };
    mkdirSync(env.PLACE);
    shared = join("/dev/shm", env.SHARED);
    for (const file of [join(fixture.home, "secret"), env.MARK, shared]) writeFileSync(file, secret);
    for (const file of [env.MARK, shared]) chmodSync(file, 0o644);
    writeFileSync(join(fixture.shown, "file"), "shown");
    copyFileSync("/usr/bin/id", join(fixture.shown, "id"));
    chmodSync(join(fixture.shown, "id"), 0o4755);
    await fixture.compute.apply(fixture.runOf({ run: 2 }));
    await eventually(
      () => existsSync(otherName),
      (is) => is,
    );
    writeFileSync(join(otherName, "file"), secret);
    mkdirSync(join(fixture.home, "blobs"), { recursive: true });
    const script = `cd "$WORK"; echo "a key of its own" >mine\n${formatScript(tried)}`;
    await fixture.compute.apply(fixture.runOf({ env, command: `${script}\nexec sleep 3600` }));
    got.first = gotBy(await fixture.seenScript(), tried, env);
    rmSync(join(env.PLACE, "copy"), { force: true });
    const words = ["/bin/sh", "-c", `rm -f *; ${script}`];
    const exec = { id: "later", words, env, stdin: "", directory: env.WORK, timeoutMs: LONGEST_MS };
    await fixture.compute.startExec(fixture.uid, 1, exec);
    const later = await seenAtEnd(async () => {
      const { stdout = "", state, timedOut } = (await fixture.compute.readExec(fixture.uid, 1, "later", 1_000)) ?? {};
      return { output: stdout, isRunning: state === "running" || timedOut === true };
    });
    got.later = gotBy(later, tried, env);
  }, LONGEST_MS);

  afterAll(async () => {
    for (const when of ["first", "later"] as const) printGot(`A sandbox ${where}, started ${when}`, got[when]);
    rmSync(shared, { force: true });
    await fixture.close();
  });

  describe.each(["first", "later"] as const)("started %s", (when) => {
    it.each(Object.keys(tried))("keeps in a command that %s", (name) => {
      const entry = got[when].get(name);

      expect(entry).toMatchObject({ unmade: undefined, isHeld: true });
      expect(entry?.text).not.toContain(secret);
    });
  });

  it("leaves the machine unchanged", () => {
    expect(statSync("/dev/null").mode).toBe(nullMode);
    expect(["/more", "/usr/more", "/etc/more", "/opt/more", "/dev/more"].filter(existsSync)).toEqual([]);
    expect(existsSync("/usr/bin/berth-copy")).toBe(false);
    expect(readdirSync(fixture.home)).not.toContain("more");
  });
});

/** Returns a command that makes a system call and prints why it was refused. Perl passes pointers to its variables. */
function calls(words: string, before = ""): string {
  return `perl -e '${before}; syscall(${words}) < 0 and print("$!\\n"), exit 1'`;
}

function reaches(number: number): string {
  return `perl -e 'exit(syscall(${number}, 0, 0, 0, 0, 0) < 0 && $! == 38)'`;
}

function addsKey(ring: number): string {
  return calls(`${call.addKey}, $t, $d, $p, 1, ${ring}`, '($t, $d, $p) = ("user", "berth-test", "x")');
}

function opens(family: number): string {
  return `perl -e 'socket(S, ${family}, 1, 0) or print("$!\\n"), exit 1'`;
}

function fills(file: string, bytes: number): string {
  return `head -c ${bytes} /dev/zero >${file}`;
}
