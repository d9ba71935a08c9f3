import type { Duplex } from "node:stream";
import type { NoteFull } from "./full-notes.ts";
import type { Reach } from "./reach.ts";

/**
 * Takes a place of the replica for a stream of a run: a program, forward, relay, web terminal or request of a page.
 * Returns a function that gives it back. Throws if no place is left. A visitor has no key.
 */
export type TakeStream = (run: string, isVisitor?: boolean) => () => void;

/**
 * A session takes about 41 kB with a tunnel, and 132 kB with its own connection to the API server
 * (docs/architecture/gateway.md#speed). A replica has 1 GiB at most, and waiting bytes may take a quarter (ssh-output.ts).
 */
const MOST_STREAMS = 3_000;
/** One run must not take all places. The bounds that its programs keep do not help: its owner may replace them. */
const MOST_OF_RUN = 750;
/** Users of Jupyter count as visitors, because Jupyter checks its own keys. The rest is left to users with a key of Berth. */
const MOST_OF_VISITORS = 2_000;

export const streamBounds = { all: MOST_STREAMS, run: MOST_OF_RUN, visitors: MOST_OF_VISITORS };

export function streamPlaces(noteFull: NoteFull, most = streamBounds): TakeStream {
  const open = new Map<string, number>();
  const count = (name: string) => open.get(name) ?? 0;
  return (run, isVisitor = false) => {
    const [all, visitors, ofRun] = ["streams", "streams of visitors", `run ${run}`];
    if (count(ofRun) >= most.run) throw new Error("This environment has too many open connections");
    const bounds = new Map([[all, most.all]]);
    if (isVisitor) bounds.set(visitors, most.visitors);
    for (const [name, bound] of bounds) {
      if (count(name) < bound) continue;
      noteFull(name, bound);
      throw new Error("The gateway has too many open connections: try again in a moment");
    }
    const names = [ofRun, ...bounds.keys()];
    for (const name of names) open.set(name, count(name) + 1);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      for (const name of names) {
        if (count(name) > 1) open.set(name, count(name) - 1);
        else open.delete(name);
      }
    };
  };
}

/** Counts each stream into a run, from the request for it to its end. */
export function boundReach(reach: Reach, take: TakeStream): Reach {
  const hold = async <Stream>(run: string, begin: (giveBack: () => void) => Promise<Stream>): Promise<Stream> => {
    const giveBack = take(run);
    try {
      return await begin(giveBack);
    } catch (error) {
      giveBack();
      throw error;
    }
  };
  return {
    start: (run, wanted) =>
      hold(run, async (giveBack) => {
        const program = await reach.start(run, wanted);
        return { ...program, hangUp: () => program.hangUp().finally(giveBack) };
      }),
    dial: (run, destination) => hold(run, async (giveBack) => onClosed(await reach.dial(run, destination), giveBack)),
    openTerminal: (run, wanted) =>
      hold(run, async (giveBack) => onClosed(await reach.openTerminal(run, wanted), giveBack)),
    openRelay: (run, place, onVisitor) =>
      hold(run, async (giveBack) => {
        const relay = await reach.openRelay(run, place, onVisitor);
        void relay.ended.then(giveBack);
        return relay;
      }),
  };
}

function onClosed(stream: Duplex, giveBack: () => void): Duplex {
  if (stream.closed) giveBack();
  return stream.once("close", giveBack);
}
