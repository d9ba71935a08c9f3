import type { ApiClient } from "../client/api-client.ts";
import { batchCalls, type SlowCallHook } from "../client/batch-calls.ts";
import { findRun, nameOfRun, type RunId, runSelector, selectorOfUids } from "../names.ts";
import type { Job, KubeObject, Node, Pod } from "../objects.ts";
import type { Paths } from "../paths.ts";

/** Lists of objects of a run or volume, which start after the request. */
export interface SharedLists extends AttachmentLists {
  jobs(id: RunId): Promise<readonly Job[]>;
  pods(id: RunId): Promise<readonly Pod[]>;
}

/** Shares lists between reconciles: each list scans the namespace, for one run or a hundred. */
export function sharedLists(client: ApiClient, paths: Paths, whenSlow?: SlowCallHook): SharedLists {
  return {
    jobs: sharedList<Job>("Job", (selector, keep) => client.list(`${paths.jobs}?${selector}`, keep), whenSlow),
    pods: sharedList<Pod>("Pod", (selector, keep) => client.list(`${paths.pods}?${selector}`, keep), whenSlow),
    ...attachmentLists(client, whenSlow),
  };
}

/** The uids of 100 runs make a URL of 4 kB, which every proxy accepts. */
const mostRuns = 100;

type ListBy<Item> = (
  selector: string,
  keep: (item: Item) => readonly Item[],
) => Promise<{ readonly items: readonly Item[] }>;

function sharedList<Item extends KubeObject>(
  kind: "Job" | "Pod",
  listBy: ListBy<Item>,
  whenSlow: SlowCallHook | undefined,
): (id: RunId) => Promise<readonly Item[]> {
  const listFor = batchCalls<RunId, readonly Item[]>(
    async (ids) => {
      const { items } = await listBy(selectorOfAll(ids), (item) => (findRun(item, kind) ? [item] : []));
      const found = Map.groupBy(items, (item) => nameIn(item, kind));
      return (id) => found.get(nameOfRun(id)) ?? [];
    },
    { mostQuestions: mostRuns, whenSlow },
  );
  return async (id) => {
    // Throws for an invalid id, which would fail the other requests of the batch.
    nameOfRun(id);
    return listFor(id);
  };
}

function selectorOfAll(ids: readonly RunId[]): string {
  const [only, ...others] = ids;
  return only && others.length === 0 ? runSelector(only) : selectorOfUids([...new Set(ids.map(({ uid }) => uid))]);
}

function nameIn(item: KubeObject, kind: "Job" | "Pod"): string {
  const ref = findRun(item, kind);
  return ref ? nameOfRun(ref) : "";
}

/** Record of a volume on a node. The cluster detaches the volume before the object goes. */
export interface Attachment {
  readonly name: string;
  readonly uid: string;
  readonly nodeName: string;
  readonly volume: string;
}

interface AttachmentLists {
  attachments(volumes: readonly string[]): Promise<readonly Attachment[]>;
  /** Reports whether the status of a node lists the volume, named `kubernetes.io/csi/<driver>^<handle>`. */
  isOnNode(volume: string): Promise<boolean>;
}

interface VolumeAttachment extends KubeObject {
  readonly spec: { readonly nodeName: string; readonly source: { readonly persistentVolumeName?: string } };
}

export const attachmentsPath = "/apis/storage.k8s.io/v1/volumeattachments";

/** Returns lists for many volumes at once, because attachments and nodes cannot be selected by volume. */
function attachmentLists(client: ApiClient, whenSlow?: SlowCallHook): AttachmentLists {
  return {
    attachments: batchCalls<readonly string[], readonly Attachment[]>(
      async (questions) => {
        const volumeIds = new Set(questions.flat());
        const { items } = await client.list<VolumeAttachment, Attachment>(attachmentsPath, ({ metadata, spec }) => {
          const volume = spec.source.persistentVolumeName ?? "";
          const { name, uid } = metadata;
          return volumeIds.has(volume) ? [{ name, uid, nodeName: spec.nodeName, volume }] : [];
        });
        const found = Map.groupBy(items, ({ volume }) => volume);
        return (volumes) => volumes.flatMap((volume) => found.get(volume) ?? []);
      },
      { whenSlow },
    ),
    isOnNode: batchCalls<string, boolean>(
      async (volumes) => {
        const volumeIds = new Set(volumes);
        const { items } = await client.list<Node, string>("/api/v1/nodes", (node) =>
          listVolumes(node).filter((volume) => volumeIds.has(volume)),
        );
        const found = new Set(items);
        return (volume) => found.has(volume);
      },
      { whenSlow },
    ),
  };
}

function listVolumes({ status = {} }: Node): string[] {
  const { volumesInUse = [], volumesAttached = [] } = status;
  return [...volumesInUse, ...volumesAttached.map(({ name }) => name)];
}
