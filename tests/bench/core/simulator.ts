import { runSchedules } from "../../simulator/campaign.ts";
import type { Measure } from "../measure.ts";

const count = 250;

export const simulator: Measure = {
  name: "simulator",
  async run() {
    const { schedules, failed, seconds } = await runSchedules({ from: 1, count });
    const seeds = failed.map(({ seed }) => seed).join(", ");
    const violations = {
      name: "simulator: schedules that violate something",
      value: failed.length,
      unit: "",
      limit: 0,
    };
    return [
      {
        name: "simulator: schedules per second",
        value: schedules / seconds,
        unit: "/s",
        note: `${schedules} schedules`,
      },
      failed.length > 0 ? { ...violations, note: `seeds ${seeds}` } : violations,
    ];
  },
};
