import { useEffect, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import { berth } from "../data/client.ts";
import { useOnce } from "../data/live.ts";
import { untilVisible } from "../data/visible.ts";
import { jobWord, printableLog } from "../data/words.ts";
import { CommandLine } from "../parts/command-line.tsx";
import { Title } from "../parts/layout.tsx";
import { Empty, Failure } from "../parts/notices.tsx";

/** How much of a log the page keeps. The download has all that the server keeps. */
const keptCharacters = 4_000_000;
const linesOfBlock = 400;

export function Logs({ id }: { readonly id: string }) {
  const { text, state, error } = useLog(id);
  const { data: job } = useOnce(["job", id], (signal) => berth.jobs.get(id, { signal }));
  const [search, setSearch] = useState("");
  const [follows, setFollows] = useState(true);
  const [wraps, setWraps] = useState(true);
  const lines = useMemo(() => linesWith(text, search), [text, search]);
  const end = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new line scrolls.
  useEffect(() => {
    if (follows) end.current?.scrollIntoView({ block: "end" });
  }, [follows, lines]);
  return (
    <>
      <Title title={`Log of ${job?.name ?? id.slice(0, 8)}`}>
        <Link className="button" href={`/jobs/${id}`}>
          Back to it
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
        <span className="faint">{describe(state, lines.length, search)}</span>
      </div>
      {error && <Failure error={error} />}
      {lines.length === 0 ? (
        <Empty title={search === "" ? "No output so far" : "No line has this text"} />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: people scroll it by keyboard.
        <section className={wraps ? "log wraps" : "log"} tabIndex={0} aria-label="Log">
          {blocksOf(lines).map((block, n) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: lines are only added at the end.
            <pre key={n}>{block}</pre>
          ))}
        </section>
      )}
      <div ref={end} />
      <CommandLine words={`berth logs -f ${job ? jobWord(job) : id.slice(0, 8)}`} />
    </>
  );
}

type LogState = "reading" | "following" | "ended" | "away";

function useLog(id: string): { readonly text: string; readonly state: LogState; readonly error: Error | undefined } {
  const [text, setText] = useState("");
  const [state, setState] = useState<LogState>("reading");
  const [error, setError] = useState<Error>();
  useEffect(() => {
    const ending = new AbortController();
    const { signal } = ending;
    const read = async () => {
      setText("");
      const onOutage = () => setState("away");
      const options = { follow: true, tail: 10_000, signal, onOutage, untilReady: untilVisible };
      const pieces = berth.jobs.logs(id, options);
      for await (const piece of pieces) {
        setState("following");
        setText((before) => (before + printableLog(piece)).slice(-keptCharacters));
      }
      setState("ended");
    };
    read().catch((thrown: Error) => {
      if (!signal.aborted) setError(thrown);
    });
    return () => ending.abort();
  }, [id]);
  return { text, state, error };
}

function linesWith(text: string, search: string): readonly string[] {
  if (text === "") return [];
  const lines = text.replace(/\n$/, "").split("\n");
  const wanted = search.toLowerCase();
  return wanted === "" ? lines : lines.filter((line) => line.toLowerCase().includes(wanted));
}

/** The browser lays out only the blocks in sight. */
function blocksOf(lines: readonly string[]): string[] {
  const count = Math.ceil(lines.length / linesOfBlock);
  return Array.from({ length: count }, (_, n) => lines.slice(n * linesOfBlock, (n + 1) * linesOfBlock).join("\n"));
}

function describe(state: LogState, count: number, search: string): string {
  const lines = `${count} ${count === 1 ? "line" : "lines"}${search === "" ? "" : " with it"}`;
  if (state === "away") return `${lines}; Berth does not answer, and it goes on once it does`;
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
