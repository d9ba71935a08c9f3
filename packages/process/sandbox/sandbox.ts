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
import { resolverSettings } from "../network/name-servers.ts";
import type { Network } from "../runs/records.ts";
import type { Account } from "./account.ts";
import type { ControlGroup } from "./control-groups.ts";
import { hostsInside } from "./host-name.ts";
import { passwdInside, sandboxUser, userOptions } from "./sandbox-user.ts";
import { systemFiles } from "./system-files.ts";
import { toolPlaces } from "./tools.ts";

/** Where a sandbox shows its disk, or what stands for one. */
export const workspace = "/workspace";

/** A directory of this machine, and the place at which a sandbox shows it. */
export interface Bind {
  readonly from: string;
  /** Absolute. */
  readonly path: string;
}

export interface SandboxRequest {
  /** Hidden: keys, records and the other runs. */
  readonly home: string;
  /** The only writable place besides the volumes, /tmp and /dev/shm, which are the run's own. */
  readonly work: string | undefined;
  /** Where its first process begins. */
  readonly start: string | undefined;
  /** Its user; absent where only the sandbox itself is tried. */
  readonly account?: Account;
  /** Its host name, and the text of its /etc/hosts. */
  readonly host?: { readonly name: string; readonly hosts: string };
  /** The directory for its own files of /etc. In the home if absent. */
  readonly ownFiles?: string;
  /** Descriptor from which bubblewrap reads /etc/gitconfig. */
  readonly gitConfig?: number;
  /** Volumes, or what stands for one, at their places. */
  readonly binds: readonly Bind[];
  /** Directories of programs that are shown read-only besides the system's own. */
  readonly programs: readonly string[];
  /** What its processes may use; null: no less than there is. */
  readonly memoryMb: number | null;
  readonly network: Network;
  /** The run's own, where it has one. */
  readonly group?: ControlGroup | null;
  /** Of programs that still have rights, so nothing of the run's own is in it by its name. */
  readonly env: Readonly<Record<string, string>>;
}

/** In memory, so each is bounded: by this, and by what the processes themselves may use. */
const tmpMb = 1024;

/**
 * Own pid, ipc, uts and, but for root, user namespaces. Of the machine's files it shows system directories, read-only,
 * and nothing else; its network is made elsewhere (network.ts). The environment is set here, so that nothing of it acts
 * on bubblewrap itself (LD_PRELOAD would).
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
    ...["--ro-bind-try", "/etc/profile", machineProfile],
    ...(gitConfig === undefined ? [] : ["--perms", "0644", "--ro-bind-data", String(gitConfig), "/etc/gitconfig"]),
    ...["--proc", "/proc", ...kernelSettings.flatMap((path) => ["--ro-bind-try", path, path]), "--dev", "/dev"],
    ...["/dev/shm", "/tmp", "/var/tmp"].flatMap((path) => ownDirectory(path, Math.min(tmpMb, memoryMb ?? tmpMb))),
    // Where GNU Screen has its sockets, and refuses to start without.
    ...["/run/screen"].filter(isFree(binds)).flatMap((path) => [...openWays(path), ...ownDirectory(path, 1)]),
    ...["--remount-ro", "/dev"],
    // Where the entry of a PATH is a link, what it leads to is shown in its place.
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

/**
 * Some are of the sandbox's own namespaces, and Linux lets whoever made these change them (ipc_namespaces(7)): that is the
 * user whose id a plain user's environments have outside. What is counted for a user (/proc/sys/user) is set on the way in.
 */
const kernelSettings = ["/proc/sys/kernel", "/proc/sys/fs/mqueue"];

/** A volume's place is the volume's alone, with what the machine has there. */
function isFree(binds: readonly Bind[]): (path: string) => boolean {
  return (path) => !binds.some((bind) => `${bind.path}/`.startsWith(`${path}/`) || path.startsWith(`${bind.path}/`));
}

/** What is not there, or not for this user to read, is left out. */
function readOnly(path: string): string[] {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) return [...openWays(path), "--symlink", readlinkSync(path), path];
  return found ? [...openWays(path), "--ro-bind-try", path, path] : [];
}

/** What a machine says of its limits as a whole, by control groups of version 2 and of version 1. */
const machineLimits = [
  ...["memory.max", "cpu.max"],
  ...["memory/memory.limit_in_bytes", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"],
];

/**
 * What programs look up to know what they may use: of a run's own group alone, since the others name the other runs, also
 * those of other stacks. A run without a group sees what limits the machine.
 */
function limitsSeen(group: ControlGroup | null): string[] {
  const root = "/sys/fs/cgroup";
  if (!group) return machineLimits.flatMap((name) => readOnly(join(root, name)));
  const shown = Object.entries(group.places).map(([controller, place]) => {
    return [group.version === 2 ? root : join(root, controller), place] as const;
  });
  return [...new Map(shown)].flatMap(([path, place]) => [...openWays(path), "--ro-bind-try", place, path]);
}

/** The directories above a place, which bubblewrap would make for its own user alone. */
function openWays(path: string, from = "/"): string[] {
  const above = dirname(path);
  return above === from || above === "/" ? [] : [...openWays(above, from), "--perms", "0755", "--dir", above];
}

/** Everybody may write there, nobody removes what is another's, as on any machine. */
function ownDirectory(path: string, megabytes: number): string[] {
  return ["--perms", "1777", "--size", String(megabytes * 1024 * 1024), "--tmpfs", path];
}

/** Those that hold others first. */
function volumePlaces(binds: readonly Bind[]): string[] {
  const outward = binds.toSorted((left, right) => left.path.length - right.path.length);
  return outward.flatMap(({ from, path }) => [...openWays(path), "--bind", from, path]);
}

/** The path at which a sandbox shows the /etc/profile of the machine. */
const machineProfile = "/etc/profile.machine";

/** /etc/profile of a sandbox. It keeps the run's PATH, which the profile of many machines replaces. */
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

/** Files of /etc in place of the machine's, whose users and name are not shown. */
function ownEtc(directory: string, files: Readonly<Record<string, string>>): string[] {
  return Object.entries(files).flatMap(([name, text]) => ["--ro-bind", ownFile(directory, name, text), `/etc/${name}`]);
}

/** Writes a file that a sandbox shows. Running sandboxes see later changes. */
function ownFile(directory: string, name: string, text: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, name);
  if (!existsSync(file) || readFileSync(file, "utf8") !== text) writeFileSync(file, text, { mode: 0o644 });
  return file;
}

/** /etc/resolv.conf is a link into /run where a daemon writes it. */
function nameResolution(home: string, network: Network): string[] {
  const file = "/etc/resolv.conf";
  if (network === "own")
    return ["--ro-bind", ownFile(join(home, "sandbox"), "resolv.conf", resolverSettings() ?? ""), file];
  if (!statSync(file, { throwIfNoEntry: false })) return [];
  return ["--ro-bind", realpathSync(file), file];
}
