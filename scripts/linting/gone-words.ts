const gone: readonly (readonly [word: RegExp, instead: string])[] = [
  [/keeper/i, "supervisor"],
  [/entrance/i, "access, or SSH run"],
  [/stand-in/i, "placeholder"],
  [/[a-z]Sight\b|\bsightOf\b/, "status"],
  [/\btwins?\b|Twin\b/, "fake"],
  [/trial/i, "fixture"],
  [/confess/i, "unexpected problem"],
  [/\bdoors\b|Doors?[A-Z]/, "access, or ports"],
  [/\bstray|Stray/, "leftover"],
  [/launcher/i, "supervisor"],
  [/\b(?:interface|type) Told\b|\btold[A-Z]/, "placed, emitted, notified or applied"],
];

export function goneWords(file: string, text: string): string[] {
  return text.split("\n").flatMap((line, at) => {
    const found = gone.filter(([word]) => word.test(line));
    return found.map(([word, instead]) => `${file}:${at + 1} says "${word.exec(line)?.[0]}": say ${instead}`);
  });
}
