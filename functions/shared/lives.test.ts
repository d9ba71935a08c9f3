import { lifeCases } from "#testing/life-cases.ts";

lifeCases(async () => ({}));
