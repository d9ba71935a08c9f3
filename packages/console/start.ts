import "./data/first-reads.ts";
import { takeCode } from "./data/session.ts";

takeCode();
