import { type KeyboardEvent, type ReactNode, useEffect, useId, useState } from "react";
import type { Me } from "../../../sdk/berth.ts";
import { useLivingJobs } from "../../data/environments.ts";
import { counted } from "../../data/words.ts";
import { useDeliveries, useKeys } from "../account.tsx";
import { useAllJobs } from "../admin/all-jobs.tsx";
import { usePools } from "../admin/operation.tsx";
import { useOtherTypes } from "../admin/types.tsx";
import { useUsers } from "../admin/users.tsx";
import { useDeletedDisks, useDisks } from "../disks/disks.tsx";
import {
  type Entry,
  findEntries,
  listAccountEntries,
  listDiskEntries,
  listJobEntries,
  listScreens,
} from "./entries.tsx";
import { listOperatorEntries } from "./operator-entries.tsx";

const shownEntries = 50;

interface FinderProps {
  readonly me: Me;
  choose(entry: Entry): void;
  close(): void;
}

/** Finds an entry by its words. */
export function Finder({ me, ...others }: FinderProps) {
  return <Entries me={me}>{(entries) => <Found entries={entries} {...others} />}</Entries>;
}

interface EntriesProps {
  readonly me: Me;
  children(entries: readonly Entry[]): ReactNode;
}

/** Lists what the user may open and do now, and for an operator what an operator may do. */
export function Entries({ me, children }: EntriesProps) {
  const { data: jobs = [] } = useLivingJobs();
  const { data: disks = [] } = useDisks();
  const { data: deletedDisks = [] } = useDeletedDisks();
  const { data: keys = [] } = useKeys();
  const { data: deliveries = [] } = useDeliveries();
  const entries = [
    ...listScreens(me),
    ...jobs.flatMap((job) => listJobEntries(job)),
    ...listDiskEntries([...disks, ...deletedDisks]),
    ...listAccountEntries(me, keys, deliveries),
  ];
  if (!me.is_operator) return children(entries);
  return <OperatorEntries me={me}>{(operatorEntries) => children([...entries, ...operatorEntries])}</OperatorEntries>;
}

function OperatorEntries({ me, children }: EntriesProps) {
  const { data: pools } = usePools();
  const { data: jobs = [] } = useAllJobs();
  const { data: users = [] } = useUsers();
  const otherTypes = useOtherTypes(pools?.pools);
  // The API refuses operators who would disable themselves.
  const otherUsers = users.filter(({ username }) => username !== me.username);
  return children(listOperatorEntries({ list: pools, otherTypes, jobs, users: otherUsers }));
}

interface FoundProps extends Omit<FinderProps, "me"> {
  readonly entries: readonly Entry[];
}

function Found({ entries, choose, close }: FoundProps) {
  const [text, setText] = useState("");
  const [wanted, setWanted] = useState(0);
  const id = useId();
  const found = findEntries(entries, text);
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
