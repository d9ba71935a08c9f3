/** The deployment that this command talked to. Commands load little before they know it. */
export const session: { url: string | undefined } = { url: undefined };
