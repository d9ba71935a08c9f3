/**
 * A value as JSON that a terminal shows and does not obey: JSON itself leaves DEL, the controls from U+0080 on and
 * invisible characters as they are, and U+009B begins the same commands as an escape. They become \uXXXX, which reads
 * back as the same value.
 */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
