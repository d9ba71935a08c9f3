import { createContext, type ReactNode, useContext, useId, useState } from "react";
import { printable } from "../data/words.ts";
import { CommandLine } from "./command-line.tsx";
import { Dialog } from "./dialog.tsx";
import { useLeftFocus } from "./left-focus.ts";

/** Closes an act that was opened by another part of the page than its button. Such an act has no button. */
export const OpenedAct = createContext<(() => void) | undefined>(undefined);

interface AskProps {
  readonly title: string;
  readonly label: string;
  readonly words: string;
  readonly isDangerous?: boolean;
  /** A text that must be typed before the act, such as the name of a disk. */
  readonly typed?: string;
  readonly isReady?: boolean;
  readonly children?: ReactNode;
  act(): void;
}

/** Button that asks for confirmation in a dialog, which names the loss and shows the equal `berth` line. */
export function Ask({ title, label, words, isDangerous = false, typed, isReady = true, children, act }: AskProps) {
  const closeOpened = useContext(OpenedAct);
  const [isOpen, setIsOpen] = useState(closeOpened !== undefined);
  const ref = useLeftFocus<HTMLButtonElement>();
  const close = () => {
    setIsOpen(false);
    closeOpened?.();
  };
  return (
    <>
      {!closeOpened && (
        <button ref={ref} type="button" className={isDangerous ? "danger" : ""} onClick={() => setIsOpen(true)}>
          {label}…
        </button>
      )}
      {isOpen && (
        <Dialog title={title} close={close}>
          <AskForm
            {...{ label, words, isDangerous, typed, isReady }}
            cancel={close}
            act={() => {
              close();
              act();
            }}
          >
            {children}
          </AskForm>
        </Dialog>
      )}
    </>
  );
}

interface AskFormProps extends Omit<AskProps, "title" | "typed"> {
  readonly typed: string | undefined;
  cancel(): void;
}

function AskForm({ label, words, isDangerous, typed, isReady, children, act, cancel }: AskFormProps) {
  const [text, setText] = useState("");
  const id = useId();
  const canAct = isReady && (typed === undefined || text === typed);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (canAct) act();
      }}
    >
      {children}
      {typed !== undefined && (
        <p className="field">
          <label htmlFor={id}>
            Type <code>{printable(typed, 300)}</code> to go on
          </label>
          <input id={id} autoComplete="off" value={text} onChange={({ target }) => setText(target.value)} />
        </p>
      )}
      <CommandLine words={words} />
      <div className="buttons">
        <button type="button" onClick={cancel}>
          Go back
        </button>
        <button type="submit" className={isDangerous ? "danger" : "primary"} disabled={!canAct}>
          {label}
        </button>
      </div>
    </form>
  );
}
