import { ApiUnreachable, isExpired, isTooLong, tooLong } from "./api-error.ts";
import { nameOf, withQuery } from "./exchange.ts";
import type { KubeObject } from "./objects.ts";

/** `metadata.resourceVersion` of a list is where a watch of it begins. */
export interface Listed<Kept> {
  readonly items: readonly Kept[];
  readonly resourceVersion: string;
}

export interface ListOptions {
  /** Only the metadata of each item: the rest of it does not leave the API server. */
  readonly part?: "metadata";
  /**
   * Told `namespace/name` of each object that is too large to be read by itself: the list goes on without it. undefined:
   * such a list is none, since what is missing in it would be taken for gone.
   */
  readonly leaveOut?: ((name: string) => void) | undefined;
}

type Read = <Body>(path: string, part?: "metadata") => Promise<Body>;

/** So many items come in one page, unless they are too large for one. */
const pageSize = 500;
/** A list whose pages expired is begun again this often. */
const mostListings = 3;

/** Half a list is no answer: where its later pages are forgotten it is begun again. */
export async function listPages<Item, Kept>(
  read: Read,
  path: string,
  keep: (item: Item) => readonly Kept[],
  options: ListOptions = {},
): Promise<Listed<Kept>> {
  for (let listings = 1; ; listings += 1) {
    try {
      return await listOnce(read, path, keep, options);
    } catch (error) {
      if (!isExpired(error) || listings === mostListings) throw error;
    }
  }
}

interface Page<Item> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly Item[] | null;
}

/** A page that is too long is asked for again with fewer items, and the pages after it grow again. */
async function listOnce<Item, Kept>(
  read: Read,
  path: string,
  keep: (item: Item) => readonly Kept[],
  options: ListOptions,
): Promise<Listed<Kept>> {
  const kept: Kept[] = [];
  let next = "";
  let size = pageSize;
  for (;;) {
    const query = new URLSearchParams({ limit: String(size), ...(next === "" ? {} : { continue: next }) });
    const at = withQuery(path, String(query));
    const page = await read<Page<Item>>(at, options.part).catch(noneIfTooLong);
    if (!page && size > 1) {
      size = Math.ceil(size / 4);
      continue;
    }
    const { metadata, items } = page ?? (await leaveOne<Item>(read, at, options));
    for (const item of items ?? []) kept.push(...keep(item));
    next = metadata.continue ?? "";
    if (next === "") return { items: kept, resourceVersion: metadata.resourceVersion };
    size = Math.min(2 * size, pageSize);
  }
}

function noneIfTooLong(error: unknown): undefined {
  if (!isTooLong(error)) throw error;
}

/** A page of one item that is too large, without it: its metadata says which one it is, and where the next one begins. */
async function leaveOne<Item>(read: Read, path: string, { leaveOut }: ListOptions): Promise<Page<Item>> {
  const { metadata, items } = await read<Page<KubeObject>>(path, "metadata");
  const name = (items ?? []).map((item) => `${item.metadata.namespace ?? ""}/${item.metadata.name}`).join();
  if (!leaveOut) throw new ApiUnreachable(`${nameOf({ method: "GET", path })}: ${name}`, tooLong);
  leaveOut(name);
  return { metadata, items: [] };
}
