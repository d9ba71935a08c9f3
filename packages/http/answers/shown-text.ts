const joined = ["Arab", "Syrc", "Nkoo", "Mong", "Deva", "Beng", "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym"]
  .concat(["Sinh", "Mymr", "Khmr", "Tibt"])
  .map((script) => String.raw`\p{scx=${script}}`)
  .join("");

/** No two alternatives begin with the same character except U+1F3F4, so a match takes one pass. */
const parts = [
  // The flags of England, Scotland and Wales.
  String.raw`\u{1F3F4}[\u{E0061}-\u{E007A}]{3,6}\u{E007F}`,
  String.raw`[^\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]`,
  String.raw`(?=\p{Cn})\p{Extended_Pictographic}`,
  String.raw`(?<=\p{Extended_Pictographic})[\uFE0E\uFE0F]`,
  String.raw`(?<=[0-9#*])\uFE0F(?=\u20E3)`,
  String.raw`(?<=\p{Extended_Pictographic}\uFE0F?|\p{Emoji_Modifier})\u200D(?=\p{Extended_Pictographic})`,
  String.raw`(?<=(?=[\p{L}\p{M}])[${joined}])[\u200C\u200D](?=[\p{L}\p{M}])(?=[${joined}])`,
];

/**
 * A text of visible characters and spaces. It excludes control characters, line separators, bidirectional marks and
 * invisible characters, because they make one name pass for another. Joiners may stand only between letters of
 * scripts that use them, and within emoji.
 */
export const shownText = new RegExp(`^(?:${parts.join("|")})*$`, "u");
