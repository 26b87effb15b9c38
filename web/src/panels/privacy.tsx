// Privacy: what was spent, what noise does to messages, and what the guarantee says.
import { useComputed } from "@preact/signals";
import { epsilon, plain, scientific, share, three } from "../format";
import { Drawer } from "../parts/Drawer";
import { Panel } from "../parts/Panel";
import { messages, roundRecord, run, told } from "../state";
import { statementOf } from "../summary";
import { say } from "../words";
import { guaranteeLines } from "./privacy/guarantee";
import { Meter } from "./privacy/meter";
import { noisePart, noiseShare, type NoisePart } from "./privacy/noise";
import { NoisePicture } from "./privacy/picture";

export function Privacy() {
  const parts = useComputed(() => told.value.flatMap((at) => {
    const part = noisePart(messages.value.get(at) ?? [], run.value!.noise_norm);
    return part ? [part] : [];
  }));
  const rows = useComputed(() => (parts.value.length ? table(parts.value) : undefined));
  const record = run.value!;
  const without = record.epsilon_budget === null && roundRecord.value?.epsilon == null;
  return (
    <Panel
      id="privacy"
      title={say("privacy.title")}
      finding={without ? say("privacy.without") : finding(parts.value)}
      table={rows.value}
      formula={<NoiseFormula />}
      code="fedchain/page/noise.py:noise_norms"
    >
      {!without && <Meter />}
      {parts.value.length > 0 && <NoisePicture parts={parts.value} />}
      <Guarantee />
    </Panel>
  );
}

function finding(parts: readonly NoisePart[]): string {
  const { epsilon_budget: budget } = run.value!;
  const record = roundRecord.value;
  if (!record || record.epsilon === null) return say("privacy.no_release");
  const spent = budget === null
    ? say("privacy.spent", { so: epsilon(record.epsilon), n: record.releases })
    : say("privacy.spent_of", { so: epsilon(record.epsilon), budget: plain(budget), n: record.releases });
  const now = parts.findLast((part) => part.round <= record.round);
  return now ? `${spent} ${say("privacy.noise_share", { share: share(noiseShare(now)) })}` : spent;
}

function table(parts: readonly NoisePart[]) {
  return {
    head: [say("learning.round"), say("privacy.noise"), say("privacy.norm"), say("privacy.share")],
    rows: parts.map((part) => [
      part.round, three(part.noise), three(part.norm), share(noiseShare(part)),
    ]),
  };
}

function Guarantee() {
  const privacy = statementOf(run.value!);
  if (!privacy) return <p class="note">{say("privacy.not_yet")}</p>;
  const lines = guaranteeLines(privacy);
  return (
    <div class="guarantee">
      <h3>{say("privacy.guarantee")}</h3>
      <dl>
        {lines.map(({ name, words }) => (
          <div><dt>{name}</dt><dd>{words}</dd></div>
        ))}
      </dl>
      {privacy.warnings.map((warning) => <p class="warning">{warning}</p>)}
      <Drawer summary={say("privacy.in_full")}>
        {() => <p class="note">{privacy.guarantee}.</p>}
      </Drawer>
    </div>
  );
}

/** The expected norm of Gaussian noise: multiplier · clip / records · √weights. */
function NoiseFormula() {
  const { noise_norm: noise, weights } = run.value!;
  const privacy = statementOf(run.value!);
  const first = noise.find((value) => value !== null);
  if (privacy?.mechanism !== "gaussian" || first == null || privacy.clip === null) {
    return <p>{say("privacy.no_formula")}</p>;
  }
  const count = Math.round((privacy.noise_multiplier! * privacy.clip * Math.sqrt(weights)) / first);
  return (
    <math display="block">
      <mrow>
        <mi mathvariant="normal">E</mi><mo>‖</mo><mtext>{say("privacy.noise_word")}</mtext><mo>‖</mo>
        <mo>≈</mo>
        <mfrac><mrow><mi>z</mi><mi>C</mi></mrow><mi>n</mi></mfrac><msqrt><mi>d</mi></msqrt>
        <mo>=</mo>
        <mfrac>
          <mrow><mn>{three(privacy.noise_multiplier)}</mn><mo>·</mo><mn>{three(privacy.clip)}</mn></mrow>
          <mn>{count}</mn>
        </mfrac>
        <msqrt><mn>{weights}</mn></msqrt>
        <mo>=</mo><mn>{first < 1e-3 ? scientific(first) : three(first)}</mn>
      </mrow>
    </math>
  );
}
