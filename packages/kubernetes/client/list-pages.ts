import type { KubeObject } from "../objects.ts";
import { ApiUnreachable, isExpired, isLate, isTooLong, tooLong } from "./api-error.ts";
import { formatRequestName, withQuery } from "./exchange.ts";

/** `metadata.resourceVersion` of a list is where a watch of it begins. */
export interface Listed<Kept> {
  readonly items: readonly Kept[];
  readonly resourceVersion: string;
}

export interface ListOptions<Kept = never> {
  /** Only the metadata of each item: the rest of it does not leave the API server. */
  readonly part?: "metadata";
  /**
   * Told `namespace/name` of each object that is too large to be read by itself: the list goes on without it. undefined:
   * such a list is none, since what is missing in it would be taken for gone.
   */
  readonly leaveOut?: ((name: string) => void) | undefined;
  /** Reduces what is kept of all pages so far, after each page. */
  readonly merge?: (kept: readonly Kept[]) => Kept[];
}

export interface Answer<Body> {
  readonly body: Body;
  /** How long its text is. */
  readonly bytes: number;
}

/** The server that a list is of. */
interface Server {
  read<Body>(path: string, part?: "metadata"): Promise<Answer<Body>>;
  /** A read of a page of one item, which is given up sooner than others. */
  peek(path: string): Promise<unknown>;
  /** How many calls it has accepted so far, of lists and of anything else. */
  answers(): number;
}

/**
 * So many items come in the first page, unless they are too large for one, or the server too slow, and at most so many in
 * a later one: a thousand environments with the pods of their machines are listed each minute, and each page is a request.
 */
const pageSize = { first: 1_000, largest: 4_000 };
/** Longer pages would take more memory than the others leave: what is parsed takes several times its text. */
const bytesOfPage = 16 * 1024 ** 2;
/** So many pages of one list may come too late: the next one says that nobody answers. */
const mostLatePages = 2;
/** A list whose pages expired is begun again this often. */
const mostListings = 3;

/** Half a list is no answer: where its later pages are forgotten it is begun again. */
export async function listPages<Item, Kept>(
  server: Server,
  path: string,
  keep: (item: Item) => readonly Kept[],
  options: ListOptions<Kept> = {},
): Promise<Listed<Kept>> {
  for (let listings = 1; ; listings += 1) {
    try {
      return await listOnce(server, path, keep, options);
    } catch (error) {
      if (!isExpired(error) || listings === mostListings) throw error;
    }
  }
}

interface Page<Item> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly Item[] | null;
}

/**
 * Pages grow as long as they are short. One that is too long is asked for again with fewer items, and the pages after it
 * grow again; behind one that came too late they do not, since each that is late again costs the whole deadline. Where the
 * server has accepted nothing since the list began, and answers no page of one item either, it is away, and a smaller page
 * would be late too.
 */
async function listOnce<Item, Kept>(
  server: Server,
  path: string,
  keep: (item: Item) => readonly Kept[],
  options: ListOptions<Kept>,
): Promise<Listed<Kept>> {
  let kept: Kept[] = [];
  const answersBefore = server.answers();
  let next = "";
  let size = pageSize.first;
  let mostSize = pageSize.largest;
  let latePages = 0;
  for (;;) {
    const query = new URLSearchParams({ limit: String(size), ...(next === "" ? {} : { continue: next }) });
    const at = withQuery(path, String(query));
    const page = await server.read<Page<Item>>(at, options.part).catch(async (error: unknown) => {
      if (isTooLong(error)) return undefined;
      if (!isLate(error) || latePages === mostLatePages) throw error;
      if (server.answers() === answersBefore && !(await lives(server, path))) throw error;
      latePages += 1;
      mostSize = Math.ceil(size / 4);
      return undefined;
    });
    if (!page && size > 1) {
      size = Math.ceil(size / 4);
      continue;
    }
    const { metadata, items } = page?.body ?? (await leaveOne<Item>(server, at, options));
    for (const item of items ?? []) kept.push(...keep(item));
    if (options.merge) kept = options.merge(kept);
    next = metadata.continue ?? "";
    if (next === "") return { items: kept, resourceVersion: metadata.resourceVersion };
    const fitting = Math.max(1, Math.floor((size * bytesOfPage) / (page?.bytes ?? 0)));
    size = Math.min(2 * size, mostSize, fitting);
  }
}

/** It needs no right but the list's own, and the server's store as well, without which no list would come. */
async function lives(server: Server, path: string): Promise<boolean> {
  return server.peek(withQuery(path, "limit=1")).then(
    () => true,
    () => false,
  );
}

/** A page of one item that is too large, without it: its metadata says which one it is, and where the next one begins. */
async function leaveOne<Item>(
  server: Server,
  path: string,
  { leaveOut }: Pick<ListOptions, "leaveOut">,
): Promise<Page<Item>> {
  const { metadata, items } = (await server.read<Page<KubeObject>>(path, "metadata")).body;
  const name = (items ?? []).map((item) => `${item.metadata.namespace ?? ""}/${item.metadata.name}`).join();
  if (!leaveOut) throw new ApiUnreachable(`${formatRequestName({ method: "GET", path })}: ${name}`, tooLong);
  leaveOut(name);
  return { metadata, items: [] };
}
