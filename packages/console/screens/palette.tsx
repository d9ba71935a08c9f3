import { type KeyboardEvent, useEffect, useId, useState } from "react";
import { useLocation } from "wouter";
import type { Me } from "../../sdk/berth.ts";
import type { JobSummary } from "../../sdk/jobs.ts";
import { useLivingJobs } from "../data/environments.ts";
import { counted } from "../data/words.ts";
import { OpenedAct } from "../parts/ask.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { End, Extend, Jupyter, Share } from "./job-acts.tsx";
import { type ActName, type Entry, findEntries, listEntries } from "./palette-entries.ts";

const acts = { Extend, End, Share, Jupyter } satisfies Record<ActName, unknown>;
const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
const shownEntries = 50;

interface OpenedActOfJob {
  readonly act: ActName;
  readonly job: JobSummary;
}

/** Finds screens, environments and what can be done to them, all by keyboard. */
export function Palette({ me }: { readonly me: Me }) {
  const [isOpen, setIsOpen] = useShortcut();
  const [opened, setOpened] = useState<OpenedActOfJob>();
  const [, navigate] = useLocation();
  const choose = (entry: Entry) => {
    setIsOpen(false);
    if ("page" in entry) return location.assign(entry.page);
    if ("screen" in entry) return navigate(entry.screen);
    // The environment's page shows how the act goes.
    navigate(`/jobs/${entry.job.job_id}`);
    setOpened(entry);
  };
  const Act = opened && acts[opened.act];
  return (
    <>
      <button
        type="button"
        className="find quiet"
        aria-keyshortcuts={isMac ? "Meta+K" : "Control+K"}
        onClick={() => setIsOpen(true)}
      >
        Find <kbd>{isMac ? "⌘" : "Ctrl"} K</kbd>
      </button>
      {isOpen && (
        <Dialog title="Find a screen or an environment" className="palette" close={() => setIsOpen(false)}>
          <Finder me={me} choose={choose} close={() => setIsOpen(false)} />
        </Dialog>
      )}
      {Act && (
        <OpenedAct value={() => setOpened(undefined)}>
          <Act job={opened.job} />
        </OpenedAct>
      )}
    </>
  );
}

/** A state that becomes true with Control-K, or Command-K on a Mac. Another dialog keeps the keyboard. */
function useShortcut() {
  const state = useState(false);
  const [, setIsOpen] = state;
  useEffect(() => {
    const press = (event: globalThis.KeyboardEvent) => {
      const isShortcut = event.key.toLowerCase() === "k" && (isMac ? event.metaKey : event.ctrlKey);
      if (!isShortcut || event.altKey || event.shiftKey) return;
      event.preventDefault();
      if (!document.querySelector("dialog[open]")) setIsOpen(true);
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  return state;
}

interface FinderProps {
  readonly me: Me;
  choose(entry: Entry): void;
  close(): void;
}

function Finder({ me, choose, close }: FinderProps) {
  const { data: jobs = [] } = useLivingJobs();
  const [text, setText] = useState("");
  const [wanted, setWanted] = useState(0);
  const id = useId();
  const found = findEntries(listEntries(me, jobs), text);
  const shown = found.slice(0, shownEntries);
  const active = Math.min(wanted, shown.length - 1);
  useEffect(() => {
    document.getElementById(`${id}-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [id, active]);
  const press = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.nativeEvent.isComposing || (step === undefined && event.key !== "Enter")) return;
    event.preventDefault();
    const entry = shown[active];
    if (step !== undefined) setWanted((active + step + shown.length) % Math.max(1, shown.length));
    else if (entry) choose(entry);
  };
  return (
    <>
      <input
        role="combobox"
        aria-label="Screen, environment or act"
        aria-expanded={shown.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={shown.length > 0 ? `${id}-${active}` : undefined}
        autoComplete="off"
        spellCheck={false}
        value={text}
        onKeyDown={press}
        onChange={({ target }) => {
          setText(target.value);
          setWanted(0);
        }}
      />
      <div id={`${id}-list`} role="listbox" aria-label="Found" className="found">
        {shown.map((entry, n) => (
          <button
            key={entry.key}
            id={`${id}-${n}`}
            type="button"
            role="option"
            tabIndex={-1}
            aria-selected={n === active}
            onClick={() => choose(entry)}
          >
            <bdi>{entry.label}</bdi> <span className="faint">{entry.hint}</span>
          </button>
        ))}
      </div>
      <div className="foot">
        <p role="status" className="faint">
          {shown.length < found.length
            ? `The first ${shown.length} of ${found.length}: type more`
            : counted(found.length, "match", "matches")}
        </p>
        <button type="button" className="quiet" onClick={close}>
          Close
        </button>
      </div>
    </>
  );
}
