type Screen = readonly [path: string, label: string];

export const home: Screen = ["/", "Environments"];

/** Screens in the bar at the top. */
const places: readonly Screen[] = [home, ["/disks", "Disks"], ["/cluster", "Cluster"], ["/account", "Account"]];

/** Lists the screens in the bar of a user. */
export function listPlaces({ is_operator }: { readonly is_operator: boolean }): readonly Screen[] {
  return is_operator ? [...places, ["/admin", "Operation"]] : places;
}
