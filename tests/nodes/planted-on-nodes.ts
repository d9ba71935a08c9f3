import { copyCore, type PlantedBug } from "../simulator/planted/plant.ts";
import type { CoreTest } from "../simulator/planted/planted-tests.ts";

/** Mistakes of the Kubernetes driver, and one of the nodes, that only a real node shows. Each is caught by one test. */
const plantedOnNodes: readonly (PlantedBug & { readonly caughtBy: CoreTest })[] = [
  {
    name: "what the API server sends with its first answer is lost",
    edits: [{ file: "../kubernetes/client/socket.ts", find: "socket.pause();", replace: "" }],
    caughtBy: inFile("job", "delivers the first bytes of every answer"),
  },
  {
    name: "the end of a run removes its pods, and with them what they print after SIGTERM",
    edits: [
      { file: "../kubernetes/runs/change-run.ts", find: "patch = client.patch(", replace: "patch = client.remove(" },
      {
        file: "../kubernetes/runs/change-run.ts",
        find: "{ metadata: { uid }, spec: { activeDeadlineSeconds: 1 } }",
        replace: "{ uid }",
      },
    ],
    caughtBy: inFile("job", "that prints a lot after SIGTERM keeps all of it, in order"),
  },
  {
    name: "a disk that a node still mounts is shown as free",
    edits: [
      {
        file: "../kubernetes/volumes/attachments.ts",
        find: "if ((await lists.attachments([volume.metadata.name])).length > 0) return true;",
        replace: "return false;",
      },
    ],
    caughtBy: inFile("volumes", "stays attached while its node does not unmount it"),
  },
  {
    name: "the tools of a pod are not copied",
    edits: [{ file: "../kubernetes/access/tools.ts", find: "volumeMounts: [mount],", replace: "volumeMounts: []," }],
    caughtBy: inFile("tools", "takes commands in an image that has nothing but one program"),
  },
  {
    name: "a node mounts its logs on the machine that runs it",
    edits: [
      {
        file: "../../tests/nodes/machine.ts",
        find: 'await run("mount", ["--bind", join(home, "log"), "/var/log"]);',
        replace: 'await promisify(execFile)("mount", ["--bind", join(home, "log"), join(home, "log")]);',
      },
    ],
    caughtBy: inFile("leftovers", "a run leaves nothing behind"),
  },
];

function inFile(name: string, title: string): CoreTest {
  return { file: `../../tests/nodes/${name}-nodes.test.ts`, title, project: "nodes" };
}

/** Plants one mistake after the other in a copy of the source. Prints which test caught it; returns how many missed. */
export async function plantOnNodes(print: (line: string) => void): Promise<number> {
  const copy = await copyCore();
  let missed = 0;
  try {
    for (const bug of plantedOnNodes) {
      const caught = await copy.catchPlanted(bug, 0);
      if (!caught) missed += 1;
      print(`${caught ? "caught" : "MISSED"}  ${bug.name}: ${bug.caughtBy.title}`);
    }
  } finally {
    await copy.remove();
  }
  return missed;
}
