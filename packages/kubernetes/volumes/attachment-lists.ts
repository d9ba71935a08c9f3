import type { ApiClient } from "../client/api-client.ts";
import { batchCalls, type SlowCallHook } from "../client/batch-calls.ts";
import type { KubeObject, Node } from "../objects.ts";

/** Record of a volume on a node. The cluster detaches the volume before the object goes. */
export interface Attachment {
  readonly name: string;
  readonly uid: string;
  readonly nodeName: string;
  readonly volume: string;
}

/** Lists that begin after the question. */
export interface AttachmentLists {
  attachments(volumes: readonly string[]): Promise<readonly Attachment[]>;
  /** Reports whether the status of a node lists the volume, named `kubernetes.io/csi/<driver>^<handle>`. */
  isOnNode(volume: string): Promise<boolean>;
}

interface VolumeAttachment extends KubeObject {
  readonly spec: { readonly nodeName: string; readonly source: { readonly persistentVolumeName?: string } };
}

export const attachmentsPath = "/apis/storage.k8s.io/v1/volumeattachments";

/** Lists for many volumes at once, because attachments and nodes cannot be selected by volume. */
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
