import { type ClaimId, parseClaimId, volumeId } from "../names.ts";
import type { KubeObject, Metadata } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";

export interface Claim extends KubeObject {
  readonly spec: {
    readonly volumeName?: string;
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
}

export interface PersistentVolume extends KubeObject {
  readonly spec: {
    readonly claimRef?: { readonly uid?: string; readonly name?: string; readonly namespace?: string };
    readonly csi?: { readonly driver: string; readonly volumeHandle: string };
    readonly persistentVolumeReclaimPolicy?: string;
    readonly storageClassName?: string;
    readonly accessModes?: readonly string[];
    readonly capacity?: { readonly storage?: string };
    readonly nodeAffinity?: {
      readonly required?: {
        readonly nodeSelectorTerms: readonly {
          readonly matchExpressions?: readonly { readonly key: string; readonly values?: readonly string[] }[];
        }[];
      };
    };
  };
}

export const claimAnnotation = {
  zone: "berth/zone",
  token: "berth/token",
  snapshot: "berth/snapshot",
  /** Set if an earlier claim gave the id. */
  volume: "berth/volume",
} as const;

export function claimPath({ paths }: ClusterContext, { name }: Pick<ClaimId, "name">): string {
  return `${paths.claims}/${name}`;
}

export const volumesPath = "/api/v1/persistentvolumes";

export function volumePath(name: string): string {
  return `${volumesPath}/${encodeURIComponent(name)}`;
}

/** Returns the claim of exactly this volume: another one may have the name by now. */
export async function readClaim(place: ClusterContext, id: string): Promise<Claim | undefined> {
  const named = parseClaimId(id);
  const claim = named && (await place.client.find<Claim>(claimPath(place, named)));
  return claim && getVolumeId(claim) === id ? claim : undefined;
}

export function getVolumeId({ metadata }: Claim): string {
  return metadata.annotations?.[claimAnnotation.volume] ?? volumeId(metadata);
}

export async function readVolume({ client }: ClusterContext, { spec }: Claim): Promise<PersistentVolume | undefined> {
  return spec.volumeName ? client.find<PersistentVolume>(volumePath(spec.volumeName)) : undefined;
}

export function getZone({ metadata }: { readonly metadata: Metadata }): string {
  return metadata.annotations?.[claimAnnotation.zone] ?? "";
}
