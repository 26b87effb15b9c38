// Records for tests, with only the fields that a test names.
import type { MessageRecord, RoundRecord, RunRecord } from "../src/records";

export function madeRound(round: number, changed: Partial<RoundRecord> = {}): RoundRecord {
  return {
    is: "round", round, height: round, block: `b${round}`, miner: 0, time_s: 2 * round, messages: 3,
    root: 0, used: 2, byzantine: 0, byzantine_used: 0, byzantine_share: 0, epsilon: round, releases: round,
    stale_blocks: 0, reorganisations: 0, metrics: { iou: round / 10 }, seconds: {}, ...changed,
  };
}

export function madeMessage(round: number, changed: Partial<MessageRecord> = {}): MessageRecord {
  return {
    is: "message", round, block: `b${round}`, holder: 0, id: `m${round}`, norm: 1, cosine: 0.5, used: true,
    share: 0.5, score: null, reason: "", epsilon: 1, attack: "", late: false, members: 1, ...changed,
  };
}

export function madeRun(changed: Partial<RunRecord> = {}): RunRecord {
  return {
    is: "run", name: "made", description: "", status: "finished", seed: 0, rounds: 4,
    holders: 3, compute: 1, attackers: {}, groups: false, rule: { kind: "mean" }, update: { kind: "adam" },
    weights: 10, model: "m", task: "t", network: "n", score: "iou", scores: ["iou", "loss"],
    baselines: { keep_everything: { iou: 0.2, loss: 3 }, morphology: { iou: 0.1, loss: 2 } },
    epsilon_budget: 8, delta: 1e-5, privacy: {}, noise_norm: [], records: [], judged_by: null,
    versions: {}, arithmetic: {}, finding: "", resume: null, ...changed,
  };
}

export function roundsOf(...records: RoundRecord[]): ReadonlyMap<number, RoundRecord> {
  return new Map(records.map((record) => [record.round, record]));
}
