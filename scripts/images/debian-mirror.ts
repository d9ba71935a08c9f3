import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Returns the mirror from which apt gets a release of Debian on this machine; undefined if it gets none. */
export async function findDebianMirror(release: RegExp, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const format = "$(REPO_URI) $(CODENAME) $(ORIGIN)";
  const listed = await promisify(execFile)("apt-get", ["indextargets", "--format", format], { env }).catch(
    () => undefined,
  );
  const targets = (listed?.stdout ?? "").split("\n").map((line) => line.split(" "));
  const [mirror] = targets.find(([, codename = "", origin]) => origin === "Debian" && release.test(codename)) ?? [];
  return mirror?.replace(/\/$/, "");
}
