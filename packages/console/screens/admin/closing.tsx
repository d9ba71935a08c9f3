import { useContext, useState } from "react";
import type { components } from "../../../sdk/schema.ts";
import { useAct } from "../../data/acts.ts";
import { shellWord } from "../../data/new-job.ts";
import { printable } from "../../data/words.ts";
import { Ask, OpenedAct } from "../../parts/ask.tsx";
import { At } from "../../parts/clock.tsx";
import { Field, TextField } from "../../parts/field.tsx";
import { Outcome } from "../../parts/state.tsx";

/** The API takes no longer reason. */
export const longestReason = 200;

interface ClosedProps {
  readonly what: string;
  readonly note: components["schemas"]["ClosedNote"];
}

/** Shows when, by which operator and why a type was closed. */
export function Closed({ what, note: { since, by, reason } }: ClosedProps) {
  return (
    <p className="stale">
      {what}
      {since !== null && (
        <>
          {" "}
          since <At time={since} />
        </>
      )}
      {by !== null && `, by ${printable(by, 100)}`}
      {reason !== null && `: ${printable(reason, 400)}`}
    </p>
  );
}

interface PlannedProps {
  readonly what: string;
  readonly note: components["schemas"]["PlannedPart"];
}

/** Shows what will be drained, when, by which operator and why. */
export function Planned({ what, note: { at, by, reason } }: PlannedProps) {
  return (
    <p className="stale">
      Drain of {what} planned at <At time={at} />
      {by !== null && `, by ${printable(by, 100)}`}
      {reason !== null && `: ${printable(reason, 400)}`}. Until then, only environments that end by then start there.
    </p>
  );
}

interface ClosingProps {
  readonly subject: string;
  readonly label: string;
  /** Heading of the dialog, which names the thing. The default is the label. */
  readonly title?: string;
  readonly command: string;
  readonly effect: string;
  readonly needsReason: boolean;
  /** Whether it may close at a later time. */
  readonly isPlannable?: boolean;
  /** A text that must be typed before, for what loses something. */
  readonly typed?: string;
  run(reason: string | undefined, at: string | undefined): Promise<unknown>;
}

/** Returns the time in the field, RFC 3339, and the command with it. The browser gives it without a time zone. */
function withTime(words: string, text: string) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return { at: undefined, timed: words };
  const at = time.toISOString().replace(/\.\d+Z$/, "Z");
  return { at, timed: `${words} --at ${at}` };
}

/** Returns a command with the reason behind it. Without a reason nothing is sent, because the API takes no empty one. */
export function withReason(words: string, text: string) {
  const reason = text.trim() || undefined;
  return { reason, words: reason === undefined ? words : `${words} --reason ${shellWord(reason)}` };
}

/** Closes or opens something, with a reason that operators read. */
export function Closing({
  subject,
  label,
  title = label,
  command,
  effect,
  needsReason,
  isPlannable = false,
  typed,
  run,
}: ClosingProps) {
  const isOpened = useContext(OpenedAct) !== undefined;
  const act = useAct(subject);
  const [text, setText] = useState("");
  const [time, setTime] = useState("");
  const { at, timed } = withTime(command, isPlannable ? time : "");
  const { reason, words } = withReason(timed, needsReason ? text : "");
  const clear = () => {
    setText("");
    setTime("");
  };
  return (
    <>
      <Ask
        title={title}
        label={label}
        words={words}
        {...(typed !== undefined && { typed, isDangerous: true })}
        act={() => void act(label, () => run(reason, at))}
        clear={clear}
      >
        <p>{effect}</p>
        {isPlannable && (
          <Field
            label="At"
            hint="In your time zone. Leave empty to drain at once. Until then, only environments that end by then start"
          >
            {(id, hintId) => (
              <input
                id={id}
                type="datetime-local"
                aria-describedby={hintId}
                value={time}
                onChange={({ target }) => setTime(target.value)}
              />
            )}
          </Field>
        )}
        {needsReason && (
          <TextField label="Reason" hint="Operators read it" most={longestReason} value={text} set={setText} />
        )}
      </Ask>
      {!isOpened && <Outcome subject={subject} />}
    </>
  );
}
