/** Covers the whole account: Berth's share needs cost allocation tags, which the owner must activate first. */
export function makeBudget(monthlyBudgetUsd: number, alarmEmail: string): void {
  new aws.budgets.Budget("Budget", {
    budgetType: "COST",
    timeUnit: "MONTHLY",
    limitAmount: String(monthlyBudgetUsd),
    limitUnit: "USD",
    notifications: ["ACTUAL", "FORECASTED"].map((notificationType) => ({
      notificationType,
      comparisonOperator: "GREATER_THAN",
      threshold: 100,
      thresholdType: "PERCENTAGE",
      subscriberEmailAddresses: [alarmEmail],
    })),
  });
}
