import type { ApiClient } from "./api-client.ts";
import { nameOfRun, type RunId, runOf, selectorOf, selectorOfUids } from "./names.ts";
import type { Job, KubeObject, Pod } from "./objects.ts";
import type { Paths } from "./paths.ts";

/** What is there of a run, each by a list of its kind that begins after the question. */
export interface RunLists {
  jobs(id: RunId): Promise<readonly Job[]>;
  pods(id: RunId): Promise<readonly Pod[]>;
}

/**
 * Lists for many looks at once. An API server compares a selector with every object of the namespace, so the list of one
 * run costs it as much as that of a hundred. What is asked for while a list is under way waits for the next one: a look
 * must not read an answer that is older than its question.
 */
export function sharedLists(client: ApiClient, paths: Paths): RunLists {
  return {
    jobs: sharedList<Job>("Job", (selector, keep) => client.list(`${paths.jobs}?${selector}`, keep)),
    pods: sharedList<Pod>("Pod", (selector, keep) => client.list(`${paths.pods}?${selector}`, keep)),
  };
}

/** The uids of so many runs make an address of 4 kB, which every proxy takes. */
const mostRuns = 100;

type ListBy<Item> = (
  selector: string,
  keep: (item: Item) => readonly Item[],
) => Promise<{ readonly items: readonly Item[] }>;

interface Question<Item> {
  readonly id: RunId;
  readonly answer: PromiseWithResolvers<readonly Item[]>;
}

function sharedList<Item extends KubeObject>(
  kind: "Job" | "Pod",
  listBy: ListBy<Item>,
): (id: RunId) => Promise<readonly Item[]> {
  const open: Question<Item>[] = [];
  let isListing = false;
  const answerOpen = async () => {
    isListing = true;
    while (open.length > 0) await answerAll(open.splice(0, mostRuns));
    isListing = false;
  };
  const answerAll = async (asked: readonly Question<Item>[]) => {
    try {
      const { items } = await listBy(selectorOfAll(asked.map(({ id }) => id)), (item) =>
        runOf(item, kind) ? [item] : [],
      );
      const found = Map.groupBy(items, (item) => nameIn(item, kind));
      for (const { id, answer } of asked) answer.resolve(found.get(nameOfRun(id)) ?? []);
    } catch (error) {
      for (const { answer } of asked) answer.reject(error);
    }
  };
  return async (id) => {
    // Throws for what is no run, before anybody else would be refused with it.
    nameOfRun(id);
    const answer = Promise.withResolvers<readonly Item[]>();
    open.push({ id, answer });
    if (!isListing) void answerOpen();
    return answer.promise;
  };
}

function selectorOfAll(ids: readonly RunId[]): string {
  const [only, ...others] = ids;
  return only && others.length === 0 ? selectorOf(only) : selectorOfUids([...new Set(ids.map(({ uid }) => uid))]);
}

function nameIn(item: KubeObject, kind: "Job" | "Pod"): string {
  const ref = runOf(item, kind);
  return ref ? nameOfRun(ref) : "";
}
