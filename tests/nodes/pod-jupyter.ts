import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";

/**
 * Prints where Python has its packages, and the files of JupyterLab and of all that it requires, less what only other
 * languages, tests, debuggers and completion use. Fails unless this is Python 3.11, which the image of the pods has.
 */
const listing = `
import importlib.metadata as metadata, json, os, re, sys
from packaging.requirements import Requirement

assert sys.version_info[:2] == (3, 11)
found = {}

def collect(name):
    name = re.sub("[-_.]+", "-", name).lower()
    if name in found or name in ("debugpy", "setuptools"):
        return
    found[name] = distribution = metadata.distribution(name)
    for requirement in map(Requirement, distribution.requires or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            collect(requirement.name)

collect("jupyterlab")
collect("ipykernel")
unneeded = re.compile(
    r"[.](map|pyc)$|/tests?/|^jupyterlab/(static/|staging/yarn)|^jedi/third_party/|^babel/locale-data/(?!root|en[._])"
)
files = [each.locate_file(str(file)) for each in found.values() for file in each.files if not unneeded.search(str(file))]
paths = [os.path.relpath(file, sys.prefix) for file in files if os.path.isfile(file)]
print(json.dumps([sys.prefix, sorted(path for path in paths if not path.startswith(".."))]))
`;

/** Folder of this machine's JupyterLab, and its files below. */
export interface JupyterFiles {
  readonly folder: string;
  readonly files: readonly string[];
}

/** Returns undefined if this machine has no JupyterLab for the Python of the pods. */
export async function findJupyter(): Promise<JupyterFiles | undefined> {
  try {
    const { stdout } = await promisify(execFile)("python3", ["-c", listing], { maxBuffer: 2 ** 26 });
    const [folder, files] = JSON.parse(stdout) as [string, string[]];
    return { folder, files };
  } catch {
    return undefined;
  }
}

const home = "/tmp/jupyter";
const command = [
  ...["exec", "env", `HOME=${home}`, `PYTHONPATH=${home}/lib/python3.11/site-packages`],
  ...[`JUPYTER_PATH=${home}/share/jupyter`, "python3", "-m", "jupyterlab", `--app-dir=${home}/share/jupyter/lab`],
  ...["--allow-root", "--no-browser", "--ip=127.0.0.1", "--ServerApp.port_retries=0"],
  ...["--ServerApp.allow_remote_access=True", "--LabApp.expose_app_in_browser=True", `--ServerApp.root_dir=${home}`],
].join(" ");

interface JupyterPlace {
  readonly port: number;
  /** If it is empty, Jupyter asks for none: the gateway checks the key. */
  readonly token: string;
}

/** Copies JupyterLab into a pod by these words of `ssh`, and starts it there. It ends with its session. */
export async function startJupyter(
  ssh: readonly string[],
  { port, token }: JupyterPlace,
  found: JupyterFiles,
): Promise<ChildProcess> {
  const tar = spawn("tar", ["-C", found.folder, "-cf", "-", "--null", "--verbatim-files-from", "-T", "-"]);
  const unpack = spawn("ssh", [...ssh, `mkdir ${home} && tar -C ${home} -xf -`], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  tar.stdout.pipe(unpack.stdin);
  tar.stdin.end(found.files.join("\0"));
  const [[packed], [unpacked]] = await Promise.all([once(tar, "exit"), once(unpack, "exit")]);
  if (packed !== 0 || unpacked !== 0) throw new Error(`JupyterLab was not copied: tar ${packed}, ssh ${unpacked}`);
  const start = `${command} --port=${port} --IdentityProvider.token=${token}`;
  return spawn("ssh", ["-tt", ...ssh, start], { stdio: ["pipe", "ignore", "ignore"] });
}
