import { join } from "node:path";
import { findText, namesIn } from "../files.ts";

/**
 * Entries of /etc that programs need: no passwords, keys or daemon settings, and chromium.d without its `apikeys`. pip,
 * git and wget read their mirrors here, so do not put credentials into these files (docs/isolation.md).
 */
const ofEtc = `
  alternatives bash.bashrc ca-certificates ca-certificates.conf chromium chromium.d/README chromium.d/default-flags
  chromium.d/dev-shm chromium.d/extensions debian_version environment fonts gai.conf gnutls host.conf
  inputrc ipython java jupyter ld.so.cache ld.so.conf ld.so.conf.d locale.alias locale.conf localtime
  lsb-release magic magic.mime mime.types networks nsswitch.conf nvidia OpenCL openmpi os-release perl pki/ca-trust
  pki/tls pip.conf profile.d protocols python python3 R rpc services shells skel ssl/certs ssl/openssl.cnf
  terminfo timezone vim vulkan wgetrc xattr.conf`
  .trim()
  .split(/\s+/);

/** Returns the paths that a sandbox shows read-only. Homes, /var, /srv and mounted disks are not among them. */
export function systemFiles(): string[] {
  return [
    ...programPlaces,
    // Separately, because no volume can be mounted inside one read-only mount.
    ...namesIn("/opt").map((name) => join("/opt", name)),
    ...ofEtc.map((name) => join("/etc", name)),
    "/sys/devices/system",
  ];
}

const programPlaces = ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr", "/nix/store"];

/**
 * Returns /etc/gitconfig of a sandbox: the machine's, and the user from the run's variables. Settings of a home or a
 * repository win over it. The variables may be secret, so they are never written to disk.
 */
export function gitConfigFor(env: Readonly<Record<string, string>>): string {
  const { GIT_USER_NAME: name, GIT_USER_EMAIL: email } = env;
  const lines = Object.entries({ name, email }).flatMap(([key, value]) =>
    value ? [`\t${key} = ${quoted(value)}`] : [],
  );
  return `${findText("/etc/gitconfig") ?? ""}\n${lines.length > 0 ? `[user]\n${lines.join("\n")}\n` : ""}`;
}

function quoted(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
