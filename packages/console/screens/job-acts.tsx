import { useId, useState } from "react";
import type { JobSummary } from "../../sdk/jobs.ts";
import { useAct } from "../data/acts.ts";
import { berth } from "../data/client.ts";
import { waitForAction } from "../data/wait-for-end.ts";
import { jobWord, parseHours, printable } from "../data/words.ts";
import { Ask } from "../parts/ask.tsx";

interface JobProps {
  readonly job: JobSummary;
}

const living: readonly string[] = ["queued", "preparing", "active"];

export function isLiving({ status }: Pick<JobSummary, "status">): boolean {
  return living.includes(status);
}

const usualHours = "1h";

/** Adds time to a job. The form says what decides the end. */
export function Extend({ job }: JobProps) {
  const act = useAct(job.job_id);
  const [text, setText] = useState(usualHours);
  const id = useId();
  const hours = parseHours(text);
  const extend = async () => waitForAction(await berth.jobs.extend(job.job_id, hours ?? 1));
  return (
    <Ask
      title={`Add time to ${printable(job.name, 80)}`}
      label="Extend"
      words={`berth extend ${jobWord(job)} ${hours === undefined ? usualHours : text.trim()}`}
      isReady={hours !== undefined}
      act={() => void act("Extend", extend)}
      clear={() => setText(usualHours)}
    >
      <p>It has {job.duration_hours} h now, counted from its start. It ends then unless it is extended.</p>
      <p className="field">
        <label htmlFor={id}>Add</label>
        <input id={id} value={text} aria-describedby={`${id}-form`} onChange={({ target }) => setText(target.value)} />
        <span id={`${id}-form`} className={hours === undefined ? "wrong" : "faint"}>
          A time such as 2h, 90m or 1.5h
        </span>
      </p>
    </Ask>
  );
}

/** Button that ends a job after naming the files that are lost. */
export function End({ job }: JobProps) {
  const act = useAct(job.job_id);
  return (
    <Ask
      title={`End ${printable(job.name, 80)}`}
      label="End"
      isDangerous
      words={`berth end ${jobWord(job)}`}
      act={() => void act("End", async () => waitForAction(await berth.jobs.cancel(job.job_id)))}
    >
      {job.status === "queued" ? <p>It leaves the queue and loses its place.</p> : <Lost job={job} />}
    </Ask>
  );
}

function Lost({ job }: JobProps) {
  if (job.disk_name === null) {
    return (
      <p>
        All its processes end. It has <strong>no disk</strong>: all its files are lost, also those in its home.
      </p>
    );
  }
  return (
    <p>
      All its processes end. The files of disk <strong>{printable(job.disk_name, 80)}</strong> stay, and are backed up.
      All other files are lost.
    </p>
  );
}

/** Lets another person in, by the keys of their GitHub account. */
export function Share({ job }: JobProps) {
  const act = useAct(job.job_id);
  const [user, setUser] = useState("");
  const id = useId();
  const isUser = /^[a-zA-Z0-9](?:[a-zA-Z0-9]|-(?=[a-zA-Z0-9])){0,38}$/.test(user);
  const share = async () => waitForAction(await berth.jobs.addUser(job.job_id, { github_username: user }));
  return (
    <Ask
      title={`Let a user into ${printable(job.name, 80)}`}
      label="Share"
      words={`berth share ${jobWord(job)} ${isUser ? user : "GITHUB-USER"}`}
      isReady={isUser}
      act={() => void act("Share", share)}
      clear={() => setUser("")}
    >
      <p>All people in a job are one user: they see its files and its processes, and may change them.</p>
      <p className="field">
        <label htmlFor={id}>GitHub user</label>
        <input id={id} autoComplete="off" value={user} onChange={({ target }) => setUser(target.value)} />
      </p>
    </Ask>
  );
}

/** Starts or stops Jupyter. */
export function Jupyter({ job }: JobProps) {
  const act = useAct(job.job_id);
  const isOn = job.jupyter_enabled;
  const label = isOn ? "Stop Jupyter" : "Start Jupyter";
  return (
    <Ask
      title={label}
      label={label}
      words={`berth jupyter ${isOn ? "off" : "on"} ${jobWord(job)}`}
      act={() => void act(label, async () => waitForAction(await berth.jobs.setJupyter(job.job_id, !isOn)))}
    >
      <p>{isOn ? "Running notebooks end. Saved files stay." : "It starts in this job, with an address of its own."}</p>
    </Ask>
  );
}
