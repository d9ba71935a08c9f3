import { lifeCases } from "#tests/fixtures/life-cases.ts";

lifeCases(async () => ({}));
