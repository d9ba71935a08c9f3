import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import type { BerthError } from "../../sdk/errors.ts";
import { berth } from "../data/client.ts";
import { useOnce } from "../data/live.ts";
import { untilVisible } from "../data/visible.ts";
import { jobWord, printableLog } from "../data/words.ts";
import { CommandLine } from "../parts/command-line.tsx";
import { Title } from "../parts/layout.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { appendLog, countLines, createLogSearch, type LogBlock } from "./log-blocks.ts";

/** How much of a log the page keeps. The download has all that the server keeps. */
const keptCharacters = 4_000_000;
/** The limit while Follow is off. It is larger, so that the lines that people read stay. */
const keptUnfollowed = 4 * keptCharacters;

export function Logs({ id }: { readonly id: string }) {
  const [follows, setFollows] = useState(true);
  const { blocks, state, outage, error } = useLog(id, follows ? keptCharacters : keptUnfollowed);
  const { data: job } = useOnce(["job", id], (signal) => berth.jobs.get(id, { signal }));
  const [search, setSearch] = useState("");
  const [wraps, setWraps] = useState(true);
  const find = useMemo(() => createLogSearch(search), [search]);
  const found = useMemo(() => find(blocks), [find, blocks]);
  const end = useFollow(found, follows, setFollows);
  return (
    <>
      <Title title={`Log of ${job?.name ?? id.slice(0, 8)}`}>
        <Link className="button" href={`/jobs/${id}`}>
          Back to the environment
        </Link>
        <a className="button" href={`/v1/jobs/${encodeURIComponent(id)}/logs?download=1`} download={`${id}.log`}>
          Download
        </a>
      </Title>
      <div className="bar">
        <input
          type="search"
          aria-label="Show only lines with this text"
          placeholder="Show only lines with …"
          value={search}
          onChange={({ target }) => setSearch(target.value)}
        />
        <Toggle label="Follow" isOn={follows} set={setFollows} />
        <Toggle label="Wrap lines" isOn={wraps} set={setWraps} />
        {state !== "reading" && <span className="faint">{describe({ state, outage }, countLines(found), search)}</span>}
      </div>
      {error && <Failure error={error} />}
      {found.length === 0 ? (
        !error && <Empty title={describeNothing({ state, outage }, search)} />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: people scroll it by keyboard.
        <section className={wraps ? "log wraps" : "log"} tabIndex={0} aria-label="Log">
          {found.map((block) => (
            <Block key={block.number} {...block} />
          ))}
        </section>
      )}
      <div ref={end} />
      <CommandLine words={`berth logs -f ${job ? jobWord(job) : id.slice(0, 8)}`} />
    </>
  );
}

/**
 * Scrolls to the end at each new line, and when the browser lays out a block whose height it had guessed. Scrolling up
 * turns it off, so that the text stays where people read it.
 */
function useFollow(blocks: readonly LogBlock[], follows: boolean, setFollows: (follows: boolean) => void) {
  const end = useRef<HTMLDivElement>(null);
  // A scroll turns it off at once, and the state later: a layout between them must not scroll back.
  const isOn = useRef(follows);
  isOn.current = follows;
  // A page that loses its first lines scrolls up by itself. A layout effect scrolls it back before the listener sees that.
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new line scrolls.
  useLayoutEffect(() => {
    if (follows) end.current?.scrollIntoView({ block: "end" });
  }, [follows, blocks]);
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (isOn.current) end.current?.scrollIntoView({ block: "end" });
    });
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    let top = window.scrollY;
    const read = () => {
      const isEndVisible = (end.current?.getBoundingClientRect().bottom ?? 0) <= window.innerHeight + 1;
      if (window.scrollY < top && !isEndVisible) {
        isOn.current = false;
        setFollows(false);
      }
      top = window.scrollY;
    };
    window.addEventListener("scroll", read, { passive: true });
    return () => window.removeEventListener("scroll", read);
  }, [setFollows]);
  return end;
}

interface Reading {
  /** `reading` until the first answer. */
  readonly state: "reading" | "following" | "ended";
  /** Why Berth gives no answer now. */
  readonly outage: string | undefined;
}

interface ReadLog extends Reading {
  readonly blocks: readonly LogBlock[];
  readonly error: Error | undefined;
}

function useLog(id: string, mostCharacters: number): ReadLog {
  const [blocks, setBlocks] = useState<readonly LogBlock[]>([]);
  const [state, setState] = useState<Reading["state"]>("reading");
  const [outage, setOutage] = useState<string>();
  const [error, setError] = useState<Error>();
  const limit = useRef(mostCharacters);
  limit.current = mostCharacters;
  useEffect(() => {
    const ending = new AbortController();
    const { signal } = ending;
    const read = async () => {
      setBlocks([]);
      const options = {
        follow: true,
        tail: 10_000,
        isPatient: true,
        signal,
        onOutage: ({ code }: BerthError) =>
          setOutage(code === "rate" ? "Berth asks for a pause" : "Berth does not answer"),
        onAnswer: () => setOutage(undefined),
        onFirstAnswer: () => setState("following"),
        untilReady: untilVisible,
      };
      const pieces = berth.jobs.logs(id, options);
      for await (const piece of pieces) {
        setBlocks((before) => appendLog(before, printableLog(piece), limit.current));
      }
      setState("ended");
    };
    read().catch((thrown: Error) => {
      if (!signal.aborted) setError(thrown);
    });
    return () => ending.abort();
  }, [id]);
  return { blocks, state, outage, error };
}

/** Blocks with fewer lines get the class `short` of the stylesheet. */
const fewLines = 20;

/** Shows a block. The stylesheet guesses its height until the browser lays it out: a search leaves many short blocks. */
const Block = memo(function Block({ text, lineCount }: LogBlock) {
  return <pre className={lineCount < fewLines ? "short" : ""}>{text.replace(/\n$/, "")}</pre>;
});

function describeNothing({ state, outage }: Reading, search: string): string {
  if (state === "reading") return outage ? `${outage}. This page tries again by itself.` : "Reading the log …";
  return search === "" ? "No output so far" : "No line has this text";
}

function describe({ state, outage }: Reading, count: number, search: string): string {
  const lines = `${count} ${count === 1 ? "line" : "lines"}${search === "" ? "" : " with it"}`;
  if (outage) return `${lines}; ${outage}. This page tries again by itself.`;
  return state === "ended" ? `${lines}, complete` : lines;
}

interface ToggleProps {
  readonly label: string;
  readonly isOn: boolean;
  set(isOn: boolean): void;
}

function Toggle({ label, isOn, set }: ToggleProps) {
  return (
    <label className="toggle">
      <input type="checkbox" checked={isOn} onChange={({ target }) => set(target.checked)} /> {label}
    </label>
  );
}
