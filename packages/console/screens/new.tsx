import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useState } from "react";
import { useLocation } from "wouter";
import type { JobEstimate, SubmitJob } from "../../sdk/jobs.ts";
import { berth, collect } from "../data/client.ts";
import { hurry, useOnce } from "../data/live.ts";
import { type NewJob, submitBody, upLine, usualJob, withLogin, yamlFile } from "../data/new-job.ts";
import { printable } from "../data/words.ts";
import { announce } from "../parts/announcer.tsx";
import { Until } from "../parts/clock.tsx";
import { CommandLine } from "../parts/command-line.tsx";
import { Field, PasswordField, TextField } from "../parts/field.tsx";
import { Title } from "../parts/layout.tsx";
import { Failure } from "../parts/notices.tsx";
import { MachinePicker } from "./machine-picker.tsx";

export function NewScreen() {
  const [job, setJob] = useState(usualJob);
  const [error, setError] = useState<Error>();
  const [isBusy, setIsBusy] = useState(false);
  const [, navigate] = useLocation();
  const set = (change: Partial<NewJob>) => setJob((before) => ({ ...before, ...change }));
  const body = submitBody(job);
  const submit = async (ready: SubmitJob) => {
    setIsBusy(true);
    setError(undefined);
    try {
      const { job_id } = await berth.jobs.submit(ready);
      announce("It is in the queue");
      hurry();
      navigate(`/jobs/${job_id}`);
    } catch (thrown) {
      setError(thrown as Error);
      setIsBusy(false);
    }
  };
  return (
    <>
      <Title title="New environment" />
      <form
        className="columns new"
        onSubmit={(event) => {
          event.preventDefault();
          if (body && !isBusy) void submit(withLogin(body, job));
        }}
      >
        <div>
          <MachinePicker job={job} set={set} />
          <Settings job={job} set={set} />
        </div>
        <div className="aside">
          <section>
            <h2>When it would start</h2>
            <Estimate body={body} />
          </section>
          {error && <Failure error={error} />}
          <div className="buttons">
            <button type="submit" className="primary" disabled={!body || isBusy || lacksPassword(job)}>
              {isBusy ? "Requested …" : "Start it"}
            </button>
          </div>
          <Same job={job} body={body} />
        </div>
      </form>
    </>
  );
}

interface FormProps {
  readonly job: NewJob;
  set(change: Partial<NewJob>): void;
}

function Settings({ job, set }: FormProps) {
  const isWrong = submitBody(job) === undefined;
  return (
    <section className="fields">
      <h2>Settings</h2>
      <TextField
        label="Time"
        hint="Such as 2h, 90m or 1.5h. It ends then, unless you extend it"
        isWrong={isWrong}
        value={job.hours}
        set={(hours) => set({ hours })}
      />
      <TextField label="Name" hint="Chosen for you if empty" value={job.name} set={(name) => set({ name })} />
      <TextField label="Image" isRequired value={job.image} set={(image) => set({ image })} />
      <RegistryFields job={job} set={set} />
      <DiskFields job={job} set={set} />
      <Field label="Command" hint="Without one it lives until its time is over">
        {(id, hintId) => (
          <textarea
            id={id}
            aria-describedby={hintId}
            rows={3}
            spellCheck={false}
            value={job.command}
            onChange={({ target }) => set({ command: target.value })}
          />
        )}
      </Field>
      <TextField
        label="GitHub user"
        hint="The SSH keys of this account open it"
        value={job.github}
        set={(github) => set({ github })}
      />
      <label className="toggle">
        <input type="checkbox" checked={job.jupyter} onChange={({ target }) => set({ jupyter: target.checked })} />{" "}
        Start Jupyter
      </label>
      <label className="toggle">
        <input type="checkbox" checked={job.requeue} onChange={({ target }) => set({ requeue: target.checked })} />{" "}
        Return it to the queue if its machine is taken back, drained or lost
      </label>
    </section>
  );
}

function lacksPassword({ registryUser, registryPassword }: NewJob): boolean {
  return registryUser !== "" && registryPassword === "";
}

function RegistryFields({ job, set }: FormProps) {
  return (
    <details>
      <summary>Private registry</summary>
      <div className="fields">
        <TextField
          label="User of the registry"
          hint="With this login its machines pull the image"
          most={256}
          value={job.registryUser}
          set={(registryUser) => set({ registryUser, ...(registryUser === "" && { registryPassword: "" }) })}
        />
        {job.registryUser !== "" && <PasswordField set={(registryPassword) => set({ registryPassword })} />}
      </div>
    </details>
  );
}

function DiskFields({ job, set }: FormProps) {
  const { data: disks = [] } = useOnce(["disks", "names"], (signal) => collect(berth.disks.list({ signal })));
  const found = disks.find(({ disk_name }) => disk_name === job.disk);
  const hint = job.disk === "" ? "Without one, all files are lost when it ends" : describeDisk(found);
  return (
    <>
      <TextField label="Disk" list="disk-names" hint={hint} value={job.disk} set={(disk) => set({ disk })} />
      <datalist id="disk-names">
        {disks.map(({ disk_name }) => (
          <option key={disk_name} value={disk_name} />
        ))}
      </datalist>
      {job.disk !== "" && !found && (
        <TextField
          label="Size of the disk in GB"
          hint="10 to 10000, 100 if empty"
          value={job.diskSize}
          set={(diskSize) => set({ diskSize })}
        />
      )}
    </>
  );
}

function describeDisk(disk: { readonly size_gb: number; readonly in_use: boolean } | undefined): string {
  if (!disk) return "There is none of this name: it is made";
  return disk.in_use ? "It is in use now" : `Yours, of ${disk.size_gb} GB`;
}

/** Asks again half a second after the last change of the form. */
function Estimate({ body }: { readonly body: SubmitJob | undefined }) {
  const text = useSettled(JSON.stringify(body ?? null));
  const { data, error } = useQuery({
    queryKey: ["estimate", text],
    queryFn: ({ signal }) => berth.jobs.estimate(JSON.parse(text) as SubmitJob, { signal }),
    enabled: text !== "null",
    placeholderData: (before) => before,
    refetchInterval: 15_000,
  });
  if (error) return <p className="wrong">{printable(error.message, 500)}</p>;
  if (!data) return <p className="faint">Asking …</p>;
  return <EstimateText estimate={data} />;
}

function EstimateText({ estimate }: { readonly estimate: JobEstimate }) {
  const { estimated_start_time: start, reason, queue_position: place, gpu_hours } = estimate;
  // The times change each second, so they are in no live region.
  useEffect(() => announce(printable(reason, 600)), [reason]);
  return (
    <div>
      <p className="headline">
        <strong>{start === null ? "No time is known yet" : <StartText start={start} reason={reason} />}</strong>
        {place !== null && place > 1 && ` at place ${place}`}
      </p>
      {reason !== "Would start now" && <p className="why">{printable(reason, 600)}</p>}
      {gpu_hours > 0 && <p className="faint">{gpu_hours} GPU-hours if it runs to its end</p>}
      {estimate.alternatives.map(({ gpu_count, estimated_start_time }) => (
        <p key={gpu_count} className="faint">
          With {gpu_count} GPUs it would start{" "}
          {estimated_start_time === null ? (
            "earlier"
          ) : (
            <>
              in <Until time={estimated_start_time} />
            </>
          )}
        </p>
      ))}
    </div>
  );
}

function StartText({ start, reason }: { readonly start: string; readonly reason: string }) {
  if (reason === "Would start now") return <>Now</>;
  return (
    <>
      In about <Until time={start} />
    </>
  );
}

/** Returns the value once it has been the same for half a second. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), 500);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

/** The same request for a terminal, a file and a program. */
function Same({ job, body }: { readonly job: NewJob; readonly body: SubmitJob | undefined }) {
  const shown = useDeferredValue(job);
  const shownBody = body && withLogin(body, { ...job, registryPassword: "…" });
  return (
    <section className="stack">
      <h2>The same elsewhere</h2>
      <CommandLine words={upLine(shown)} />
      <details>
        <summary>berth.yaml</summary>
        <pre className="code">{printableLines(yamlFile(shown))}</pre>
      </details>
      <details>
        <summary>JSON of POST /v1/jobs/submit</summary>
        <pre className="code">{printableLines(JSON.stringify(shownBody ?? {}, null, 2))}</pre>
      </details>
    </section>
  );
}

function printableLines(text: string): string {
  return text
    .split("\n")
    .map((line) => printable(line))
    .join("\n");
}
