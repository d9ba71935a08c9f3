import type { Availability } from "../../../sdk/berth.ts";
import { berth } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { describeGrowth, hasGpus, machines } from "../../data/machines.ts";
import type { NewJob } from "../../data/new-job.ts";
import { printable } from "../../data/words.ts";
import { Loaded } from "../../parts/notices.tsx";

interface PickerProps {
  readonly job: NewJob;
  set(change: Partial<NewJob>): void;
}

type Type = Availability["availability"][string];

/** Form part for the type of machine and the number of GPUs. It shows how many GPUs are free. */
export function MachinePicker({ job, set }: PickerProps) {
  const query = useLive(["availability"], (signal) => berth.availability({ signal }));
  return (
    <section>
      <h2 id="machine-heading">Machine</h2>
      <Loaded query={query}>
        {({ availability }) => (
          <>
            <div role="radiogroup" aria-labelledby="machine-heading" className="choices">
              {listTypes(availability).map(({ name, machine, type }) => (
                <Choice
                  key={name}
                  name={name}
                  machine={machine}
                  type={type}
                  isChosen={job.type === name}
                  choose={() => set({ type: name, machine, gpus: fitting(job.gpus, type) })}
                />
              ))}
            </div>
            {hasGpus(job.type) && <Counts job={job} set={set} type={availability[job.type]} />}
          </>
        )}
      </Loaded>
    </section>
  );
}

/** Types that the deployment has come first. */
function listTypes(availability: Availability["availability"]) {
  const others = Object.keys(machines).filter((name) => !Object.hasOwn(availability, name));
  return [...Object.keys(availability), ...others].map((name) => {
    const type = availability[name];
    return { name, type, machine: type?.instance_type ?? machines[name] ?? "" };
  });
}

function fitting(gpus: number, type: Type | undefined): number {
  const counts = type?.count_options ?? [1];
  return counts.includes(gpus) ? gpus : (counts.at(0) ?? 1);
}

interface ChoiceProps {
  readonly name: string;
  readonly machine: string;
  readonly type: Type | undefined;
  readonly isChosen: boolean;
  choose(): void;
}

function Choice({ name, machine, type, isChosen, choose }: ChoiceProps) {
  return (
    <label className={isChosen ? "choice chosen" : "choice"}>
      <input type="radio" name="machine" checked={isChosen} onChange={choose} />
      <span className="choice-name">{name}</span>
      <span className="faint">{machine}</span>
      <span className="choice-free">{describeFree(name, type)}</span>
      {type?.closed_reason != null && <span className="warning">{printable(type.closed_reason, 300)}</span>}
    </label>
  );
}

function describeFree(name: string, type: Type | undefined): string {
  const growth = describeGrowth(name, type);
  if (!hasGpus(name)) return growth === "" ? "no GPUs" : `no GPUs; ${growth}`;
  if (!type || type.total === 0) return growth;
  const block = type.available > type.largest_free ? `, at most ${type.largest_free} together` : "";
  const waiting = type.queued > 0 ? `, ${type.queued} wanted` : "";
  return `${type.available} of ${type.total} free${block}${waiting}${growth && `; ${growth}`}`;
}

function Counts({ job, set, type }: PickerProps & { readonly type: Type | undefined }) {
  const counts = type?.count_options ?? [1, 2, 4, 8];
  return (
    <fieldset className="counts">
      <legend>GPUs</legend>
      {counts.map((count) => (
        <label key={count} className="toggle">
          <input type="radio" name="gpus" checked={job.gpus === count} onChange={() => set({ gpus: count })} /> {count}
          {type && count > type.max_per_node && <span className="faint"> on {count / type.max_per_node} machines</span>}
        </label>
      ))}
    </fieldset>
  );
}
