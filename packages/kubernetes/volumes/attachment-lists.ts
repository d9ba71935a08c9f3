import type { ApiClient } from "../client/api-client.ts";
import { batchCalls, type SlowCallHook } from "../client/batch-calls.ts";
import type { KubeObject, Node } from "../objects.ts";

/** The cluster attaches a volume to a node while there is one of these, and takes it off before the object goes. */
export interface Attachment {
  readonly name: string;
  readonly uid: string;
  readonly nodeName: string;
  /** The name of the persistent volume. */
  readonly volume: string;
}

/** What is there of volumes, by a list that begins after the question. */
export interface AttachmentLists {
  /** Of the persistent volumes of these names. */
  attachments(volumes: readonly string[]): Promise<readonly Attachment[]>;
  /** Whether a node has a volume by what the node says of itself, where it is `kubernetes.io/csi/<driver>^<handle>`. */
  isOnNode(volume: string): Promise<boolean>;
}

interface VolumeAttachment extends KubeObject {
  readonly spec: { readonly nodeName: string; readonly source: { readonly persistentVolumeName?: string } };
}

export const attachmentsPath = "/apis/storage.k8s.io/v1/volumeattachments";

/**
 * Lists for many volumes at once: neither attachments nor nodes can be selected by a volume, so each list is of all in
 * the cluster. Of those only what was asked for is held.
 */
export function attachmentLists(client: ApiClient, whenSlow?: SlowCallHook): AttachmentLists {
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
