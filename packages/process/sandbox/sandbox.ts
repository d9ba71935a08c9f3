import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { hostfileDirectory, hostfileName } from "#core/ports/hostfile.ts";
import { resolverSettings } from "../network/network.ts";
import type { Network } from "../runs/records.ts";
import type { ControlGroup } from "./control-groups.ts";
import { hostsInside } from "./host-name.ts";
import { type Account, passwdInside, sandboxUser, userOptions } from "./sandbox-user.ts";
import { systemFiles } from "./system-files.ts";
import { toolPlaces } from "./tools.ts";

/** Mount point of the disk, or of its temporary replacement. */
export const workspace = "/workspace";

export interface Bind {
  readonly from: string;
  readonly path: string;
}

export interface SandboxRequest {
  /** Hidden by the sandbox: keys, records and the other runs. */
  readonly home: string;
  /** Writable, like the volumes, /tmp, /var/tmp, /dev/shm and /run/screen of the run. */
  readonly work: string | undefined;
  readonly start: string | undefined;
  /** Absent in a probe. */
  readonly account?: Account;
  readonly host?: {
    readonly name: string;
    readonly hosts: string;
    /** Text of the hostfile. Undefined on one machine. */
    readonly hostfile?: string | undefined;
  };
  /** Defaults to a directory in the home. */
  readonly ownFiles?: string;
  readonly gitConfig?: number;
  readonly binds: readonly Bind[];
  readonly programs: readonly string[];
  readonly memoryMb: number | null;
  readonly network: Network;
  readonly group?: ControlGroup | null;
  /** Environment of a child that still has capabilities, so variables of the run must have neutral names. */
  readonly env: Readonly<Record<string, string>>;
}

/** Size of each in-memory file system, unless the run's memory limit is smaller. */
const tmpMb = 1024;

/**
 * Returns the options of bubblewrap. The network comes from network.ts. `--setenv` keeps variables such as LD_PRELOAD
 * from acting on bubblewrap itself.
 */
export function sandboxOptions({
  home,
  work,
  start,
  account = { name: sandboxUser, home: workspace, shell: "/bin/sh" },
  host = { name: "environment", hosts: hostsInside("environment", 1) },
  ownFiles = join(home, "sandbox"),
  gitConfig,
  binds,
  programs,
  memoryMb,
  network,
  group = null,
  env,
}: SandboxRequest): string[] {
  return [
    ...userOptions(),
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", host.name, "--die-with-parent"],
    ...systemFiles().filter(isFree(binds)).flatMap(readOnly),
    ...limitsSeen(group),
    ...nameResolution(home, network),
    ...ownEtc(ownFiles, { ...passwdInside(account), hosts: host.hosts, hostname: `${host.name}\n`, profile }),
    ...(host.hostfile === undefined ? [] : showHostfile(ownFiles, host.hostfile)),
    ...["--ro-bind-try", "/etc/profile", machineProfile],
    ...(gitConfig === undefined ? [] : ["--perms", "0644", "--ro-bind-data", String(gitConfig), "/etc/gitconfig"]),
    ...["--proc", "/proc", ...kernelSettings.flatMap((path) => ["--ro-bind-try", path, path]), "--dev", "/dev"],
    ...["/dev/shm", "/tmp", "/var/tmp"].flatMap((path) => ownDirectory(path, Math.min(tmpMb, memoryMb ?? tmpMb))),
    // GNU Screen keeps its sockets here and refuses to start without it.
    ...["/run/screen"].filter(isFree(binds)).flatMap((path) => [...openWays(path), ...ownDirectory(path, 1)]),
    ...["--remount-ro", "/dev"],
    // bubblewrap resolves a PATH entry that is a symbolic link, and shows the target in its place.
    ...programs.filter(isFree(binds)).flatMap((path) => [...openWays(path), "--ro-bind-try", path, path]),
    ...volumePlaces(binds),
    ...[...openWays(home), "--perms", "0755", "--tmpfs", home],
    ...(work === undefined ? [] : [...openWays(work, home), "--bind", work, work]),
    ...toolPlaces(home),
    ...["--remount-ro", home],
    ...["--remount-ro", "/"],
    ...(start === undefined ? [] : ["--chdir", start]),
    "--clearenv",
    ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}

/** A plain user's processes could change these settings of their namespaces (ipc_namespaces(7)). */
const kernelSettings = ["/proc/sys/kernel", "/proc/sys/fs/mqueue"];

/** A volume hides what the machine has at its mount point. */
function isFree(binds: readonly Bind[]): (path: string) => boolean {
  return (path) => !binds.some((bind) => `${bind.path}/`.startsWith(`${path}/`) || path.startsWith(`${bind.path}/`));
}

function readOnly(path: string): string[] {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) return [...openWays(path), "--symlink", readlinkSync(path), path];
  return found ? [...openWays(path), "--ro-bind-try", path, path] : [];
}

/** Limits of the whole machine, for control groups version 2 and version 1. */
const machineLimits = [
  ...["memory.max", "cpu.max"],
  ...["memory/memory.limit_in_bytes", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"],
];

/** Shows the run's own limits and no groups of other runs. A run without a group sees the machine's limits. */
function limitsSeen(group: ControlGroup | null): string[] {
  const root = "/sys/fs/cgroup";
  if (!group) return machineLimits.flatMap((name) => readOnly(join(root, name)));
  const shown = Object.entries(group.places).map(([controller, place]) => {
    return [group.version === 2 ? root : join(root, controller), place] as const;
  });
  return [...new Map(shown)].flatMap(([path, place]) => [...openWays(path), "--ro-bind-try", place, path]);
}

/** Creates parent directories for all users. bubblewrap's default is only its own user. */
function openWays(path: string, from = "/"): string[] {
  const above = dirname(path);
  return above === from || above === "/" ? [] : [...openWays(above, from), "--perms", "0755", "--dir", above];
}

function ownDirectory(path: string, megabytes: number): string[] {
  return ["--perms", "1777", "--size", String(megabytes * 1024 * 1024), "--tmpfs", path];
}

/** Mounts outer volumes before the volumes within them. */
function volumePlaces(binds: readonly Bind[]): string[] {
  const outward = binds.toSorted((left, right) => left.path.length - right.path.length);
  return outward.flatMap(({ from, path }) => [...openWays(path), "--bind", from, path]);
}

const machineProfile = "/etc/profile.machine";

/** /etc/profile of a sandbox. It keeps the run's PATH, which many machines' profiles replace. */
const profile = `_berth_path=$PATH
if [ -r ${machineProfile} ]; then . ${machineProfile}; fi
_berth_more=$PATH PATH=$_berth_path _berth_ifs=$IFS IFS=:
for _berth_path in $_berth_more; do
  case ":$PATH:" in *":$_berth_path:"*) ;; *) PATH=$PATH:$_berth_path ;; esac
done
IFS=$_berth_ifs
export PATH
unset _berth_path _berth_more _berth_ifs
`;

function ownEtc(directory: string, files: Readonly<Record<string, string>>): string[] {
  return Object.entries(files).flatMap(([name, text]) => ["--ro-bind", ownFile(directory, name, text), `/etc/${name}`]);
}

function showHostfile(directory: string, text: string): string[] {
  const path = join(hostfileDirectory, hostfileName);
  return [...openWays(path), "--ro-bind", ownFile(directory, hostfileName, text), path];
}

/** Writes a file that a sandbox shows. Running sandboxes see later changes. */
export function ownFile(directory: string, name: string, text: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, name);
  if (!existsSync(file) || readFileSync(file, "utf8") !== text) writeFileSync(file, text, { mode: 0o644 });
  return file;
}

/** On systems where a daemon writes /etc/resolv.conf, it is a symbolic link into /run. */
function nameResolution(home: string, network: Network): string[] {
  const file = "/etc/resolv.conf";
  if (network === "own")
    return ["--ro-bind", ownFile(join(home, "sandbox"), "resolv.conf", resolverSettings() ?? ""), file];
  if (!statSync(file, { throwIfNoEntry: false })) return [];
  return ["--ro-bind", realpathSync(file), file];
}
