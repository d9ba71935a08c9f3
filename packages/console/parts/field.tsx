import { type ReactNode, useId } from "react";

interface FieldProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly isWrong?: boolean;
  children(id: string, hintId: string): ReactNode;
}

/** A control with its label, and a hint that screen readers read with it. */
export function Field({ label, hint, isWrong = false, children }: FieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children(id, `${id}-hint`)}
      <span id={`${id}-hint`} className={isWrong ? "wrong" : "faint"}>
        {hint}
      </span>
    </div>
  );
}

interface TextFieldProps extends Omit<FieldProps, "children"> {
  readonly value: string;
  readonly list?: string;
  readonly isRequired?: boolean;
  /** The greatest number of characters. */
  readonly most?: number;
  set(value: string): void;
}

export function TextField({ value, list, isRequired, most, set, ...field }: TextFieldProps) {
  return (
    <Field {...field}>
      {(id, hintId) => (
        <input
          id={id}
          list={list}
          required={isRequired}
          maxLength={most}
          aria-invalid={field.isWrong || undefined}
          aria-describedby={hintId}
          autoComplete="off"
          spellCheck={false}
          value={value}
          onChange={({ target }) => set(target.value)}
        />
      )}
    </Field>
  );
}

/** React would copy a value that it controls into the page's HTML, so the browser alone keeps it. */
export function PasswordField({ set }: { set(value: string): void }) {
  return (
    <Field label="Password or token" hint="Needed for this user">
      {(id, hintId) => (
        <input
          id={id}
          type="password"
          maxLength={4096}
          aria-describedby={hintId}
          autoComplete="new-password"
          onChange={({ target }) => set(target.value)}
        />
      )}
    </Field>
  );
}
