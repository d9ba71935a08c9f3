import type { KubeObject } from "../objects.ts";
import { ApiUnreachable, isExpired, isLate, isTooLong, tooLong } from "./api-error.ts";
import { formatRequestName, withQuery } from "./exchange.ts";

/** Items of a list. A watch starts at its `metadata.resourceVersion`. */
export interface Listed<Kept> {
  readonly items: readonly Kept[];
  readonly resourceVersion: string;
}

export interface ListOptions<Kept = never> {
  readonly part?: "metadata";
  /** Receives the name of each object that is too large. If undefined, the list fails: gaps look like deletions. */
  readonly leaveOut?: ((name: string) => void) | undefined;
  readonly merge?: (kept: readonly Kept[]) => Kept[];
}

export interface Answer<Body> {
  readonly body: Body;
  readonly bytes: number;
}

interface Server {
  read<Body>(path: string, part?: "metadata"): Promise<Answer<Body>>;
  /** Reads a page of one item with a shorter deadline. */
  peek(path: string): Promise<unknown>;
  /** Returns how many calls of any kind the server has accepted. */
  answers(): number;
}

/** Items in a page. 1,000 environments with their pods are listed each minute, one request per page. */
const pageSize = { first: 1_000, largest: 4_000 };
/** Target length of a page. Parsed objects take several times as much memory. */
const bytesOfPage = 16 * 1024 ** 2;
/** Late pages that a list retries. One more fails the list. */
const mostLatePages = 2;
const mostListings = 3;

/** Reads all pages. Starts over if the continue token expires, because a partial list is no answer. */
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
 * Reads a list in pages that grow while they are short, and shrink when they are too long or late. Fails at once if the
 * server has accepted no call since the list began and does not answer a page of one item.
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

/** Reports whether the server answers. The probe needs only the right to list, and reads from etcd as a list does. */
async function lives(server: Server, path: string): Promise<boolean> {
  return server.peek(withQuery(path, "limit=1")).then(
    () => true,
    () => false,
  );
}

/** Returns a page without its only item, which is too large. The metadata gives its name and the next page. */
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
